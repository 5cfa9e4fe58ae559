"""The authors' models, answering as they do (names, shapes, axes, units) about the analytic room.

Each knows the room of `box_room` and says of it, through the interface of the real one, what that
one would say if it were perfect: z or range, metres or not, in its own frame. Patches carry where
they look in their pixels' colours (`compass`), so that a stand-in needs no hint from the test.
"""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from box_room import cast, panorama_rays

UP_BACK = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # right, up, backward
DAP_HOME = "depth_anything_v2_metric/depth_anything_v2/dinov3"  # where its DINOv3 lies


def compass(height: int = 256) -> np.ndarray:
    """A panorama whose colours are the rays themselves, uint8 [H, W, 3]."""
    rays = panorama_rays(height).movedim(0, -1).numpy()
    return np.round((rays + 1) * 127.5).astype(np.uint8)


def seen_z(patches: torch.Tensor, tan_half: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """z [N, h, w] and normals [N, h, w, 3] in the patch's frame of what patches of `compass` see.

    patches: [N, 3, h, w], 0..1. Where they look follows from their colours and field of view.
    """
    rays = torch.nn.functional.normalize(patches.double() * 2 - 1, dim=1)
    size = rays.shape[-1]
    grid = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    z, normals = [], []
    for ray, half in zip(rays, tan_half.double(), strict=True):
        own = torch.stack([x * half, y * half, torch.ones_like(x)]).double()
        own = own / own.norm(dim=0)
        # The rotation that takes the patch's rays to the panorama's (Kabsch, 1976).
        u, _, vt = torch.linalg.svd(ray.flatten(1) @ own.flatten(1).T)
        turn = u @ torch.diag(torch.tensor([1.0, 1, torch.det(u @ vt)]).double()) @ vt
        distance, normal, _ = cast((turn @ own.flatten(1)).unflatten(1, (size, size)).float())
        z.append(distance * own[2])
        normals.append(torch.einsum("ji,jhw->hwi", turn.float(), normal.float()))
    return torch.stack(z).float(), torch.stack(normals)


class _Model:
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    @classmethod
    def from_pretrained(cls, source, **kwargs):
        if "missing" in source:
            raise OSError("no such repository")
        return cls(source, **kwargs)

    def to(self, *args, **kwargs):
        return self

    def eval(self):
        return self


class MoGe(_Model):
    """z-depth in metres, and normals in OpenCV's frame."""

    normal_head = object()

    def infer(self, image, fov_x, force_projection, use_fp16):
        z, normals = seen_z(image, torch.tan(torch.deg2rad(fov_x) / 2))
        return {"depth": z, "normal": normals, "mask": z > 0}


class MoGe3(MoGe):
    """Its refinement has CUDA kernels alone."""

    def infer(self, image, fov_x, force_projection, use_fp16, refine_steps=3):
        assert refine_steps == 0
        return super().infer(image, fov_x, force_projection, use_fp16)


class DepthAnything3(_Model):
    """One picture at a time, resized to 504 pixels; z = focal length x depth / 300."""

    tan_half = 1.0  # set by the test: the real one recognises the perspective

    def inference(self, images):
        assert len(images) == 1
        image = torch.from_numpy(images[0].copy()).movedim(-1, 0)[None].float() / 255
        z, _ = seen_z(image, torch.tensor([self.tan_half]))
        z = torch.nn.functional.interpolate(z[None], (504, 504), mode="nearest-exact")[0]
        focal = 504 / (2 * self.tan_half)
        sky = np.zeros((1, 504, 504), bool)
        sky[:, :50] = True
        return SimpleNamespace(depth=(z * 300 / focal).numpy(), sky=sky)


def _room(height: int) -> tuple[torch.Tensor, torch.Tensor]:
    distance, normal, _ = cast(panorama_rays(height))
    return distance, normal.float()


class DAP(torch.nn.Module):
    """Range / 100 m, and how sure it is that a pixel is sky or too far."""

    def __init__(self):
        super().__init__()
        if not Path(DAP_HOME).is_dir():  # relative, as torch.hub is told
            raise FileNotFoundError(DAP_HOME)
        self.core = torch.nn.Conv2d(3, 1, 1)

    def forward(self, image):
        assert image.shape == (1, 3, 512, 1024)
        assert image.min() < 0  # with ImageNet's statistics
        distance, _ = _room(512)
        mask = torch.zeros_like(distance)
        mask[:40] = 0.9
        return {"pred_depth": distance[None, None] / 100, "pred_mask": mask[None, None]}


class DA2(_Model):
    """Range of no scale, [1, H, W]."""

    def __call__(self, image):
        assert set(self.kwargs["config"]["spherevit"]) == {"vit_w_esphere", "sphere"}
        assert 0 <= image.min() <= image.max() <= 1
        return _room(image.shape[2])[0][None] * 0.37


class DA360(torch.nn.Module):
    """Disparity of no scale."""

    def __init__(self, height, width, dinov2_encoder):
        super().__init__()
        assert dinov2_encoder == "vits"
        self.size = (height, width)
        self.shift_mlp = torch.nn.Linear(2, 1)

    def forward(self, image):
        assert image.shape[2:] == self.size
        assert image.min() < 0  # with ImageNet's statistics
        return {"pred_disp": 5 / _room(self.size[0])[0][None, None]}


class UniK3D(_Model):
    """Range in metres as `distance`; `depth` is z. It forgets cameras that were used before."""

    def infer(self, rgb, camera, normalize):
        assert rgb.dtype == torch.uint8
        width, height, across, down = camera.params[4:].tolist()
        assert (width, height) == (rgb.shape[2], rgb.shape[1])
        assert (across, down) == (
            torch.tensor(math.pi).item(),
            torch.tensor(math.pi / 2).item(),
        )
        camera.params[4:6] *= 0.5
        distance = _room(rgb.shape[1])[0][None, None]
        z = distance * panorama_rays(rgb.shape[1])[2]
        return {"distance": distance, "depth": z, "confidence": torch.ones_like(distance)}


class Pager(_Model):
    """log z of six faces scaled by a head; normals with x right, y up, z backward."""

    axes = UP_BACK

    def __init__(self, path, cfg, device):
        self.model = _Model()
        self.modalities = cfg.modalities

    def get_intrinsics_extrinsics(self, image_size, fov):
        self.size = image_size

    def __call__(self, cube, dtype, skip_heads):
        assert cube.shape == (1, 6, 3, self.size, self.size)
        assert skip_heads == ({"scale_outdoor"} if "scale_indoor" in self.modalities else None)
        nothing = torch.zeros(1, 6, 1, self.size, self.size)
        sky = torch.full_like(nothing, -9)
        sky[:, 4] = 9  # the face that looks up
        said = {"depth": nothing, "normals": nothing, "sky": sky, "scale": torch.tensor([[0.2]])}
        return {name: said[name] for name in said if name in " ".join(self.modalities)}

    def process_depth_output(self, depth, size, log_scale=None):
        assert (log_scale is not None) == ("scale_indoor" in self.modalities)
        distance = _room(size[0])[0][None]
        return distance, distance.log()

    def process_normals_output(self, normals, size):
        return torch.einsum("ij,jhw->ihw", self.axes, _room(size[0])[1])


def cubemap_to_erp(cube, height, width, fov):
    """Only tells the upward face from the others."""
    up = panorama_rays(height)[1] < -math.sqrt(0.5)
    return torch.where(up, cube[4].mean(), cube[0].mean())[None]


PAGER = ("depth", "normals", "sky", "scale_indoor", "scale_outdoor")


def install(monkeypatch, root: Path, pager: tuple[str, ...] = PAGER) -> None:
    """Put all of them where the real ones are imported from. root: an empty folder, for their
    code. pager: what the weights of PaGeR give."""
    (root / DAP_HOME).mkdir(parents=True, exist_ok=True)
    modules = {
        "moge": {}, "moge.model": {}, "moge.model.v2": {"MoGeModel": MoGe},
        "moge.model.v3": {"MoGeModel": MoGe3},
        "depth_anything_3": {}, "depth_anything_3.api": {"DepthAnything3": DepthAnything3},
        "networks": {"DA360": DA360},
        "networks.models": {
            "make": lambda spec: DAP(), "__file__": str(root / "networks" / "models.py"),
        },
        "da2": {}, "da2.model": {}, "da2.model.spherevit": {"SphereViT": DA2},
        "unik3d": {}, "unik3d.models": {"UniK3D": UniK3D}, "unik3d.utils": {},
        "unik3d.utils.camera": {"Spherical": lambda params: SimpleNamespace(params=params.clone())},
        "src": {}, "src.pager": {"Pager": Pager}, "src.utils": {},
        "src.utils.geometry_utils": {
            "erp_to_cubemap": lambda image, face_w, fov: torch.zeros(6, 3, face_w, face_w),
            "cubemap_to_erp": cubemap_to_erp,
        },
        "src.utils.scene_classifier": {
            "get_classifier": lambda device: SimpleNamespace(classify=lambda cube: ("indoor", 0.9))
        },
        "omegaconf": {"OmegaConf": SimpleNamespace(load=lambda path: SimpleNamespace(
            face_size=16, cube_fov=95.0, modalities=list(pager)))},
    }  # fmt: skip
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
