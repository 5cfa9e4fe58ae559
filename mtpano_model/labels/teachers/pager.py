"""PaGeR: metric depth and normals of whole panoramas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.foreign import check_facing, from_package, on_canvas, picture
from mtpano_model.labels.teachers.hub import pretrained

DEFAULT = "prs-eth/PaGeR"
_SCALES = {"indoor": "scale_indoor", "outdoor": "scale_outdoor"}
_SKY = 0.3  # probability from which a pixel is sky
_REMEDY = (
    "clone https://github.com/prs-eth/PaGeR, `pip install -e` its folder and put it on PYTHONPATH"
)


class PaGeR:
    """arXiv 2605.26368, through its authors' code, whose folder has to be on PYTHONPATH.

    source: a repository of the hub, or a folder with model.safetensors and config.yaml; those of
    depth or normals alone give no more than that. Depth is metres along the ray, scaled by the
    indoor or the outdoor head as its classifier finds. Normals are in OpenGL's camera frame (x
    right, y up, z backward). The sky stays unlabelled. Licence: code Apache-2.0, weights CC BY-NC
    4.0.

    Held against the authors' repository at 99188f2 (May 2026): src/pager.py turns z into range
    after the scale, dataloaders/Structured3D_dataloader.py turns (x forward, y up, z left) into
    (-z, y, -x), and the walls of assets/teaser.png have the colours of that frame.
    """

    tasks: tuple[str, ...] = ("depth", "normals")
    license = "CC BY-NC 4.0 (non-commercial)"
    noncommercial = True

    def __init__(self, source: str | None, class_set: str, device: str):
        source = source or DEFAULT
        self.name = f"pager:{source}"
        factory = from_package("pager", "src.pager", "Pager", _REMEDY)
        self._to_faces, self._to_sphere = (
            from_package("pager", "src.utils.geometry_utils", name, _REMEDY)
            for name in ("erp_to_cubemap", "cubemap_to_erp")
        )
        config = _config(source)
        self.tasks = tuple(task for task in PaGeR.tasks if task in config.modalities)
        self._face, self._fov = int(config.face_size), float(getattr(config, "cube_fov", 90.0))
        self._device = torch.device(device)
        self._model = pretrained(self.name, factory, Path(source), cfg=config, device=self._device)
        self._model.get_intrinsics_extrinsics(image_size=self._face, fov=self._fov)
        self._model.model.to(self._device).eval()
        self._classifier = None
        if all(head in config.modalities for head in _SCALES.values()):
            get = from_package("pager", "src.utils.scene_classifier", "get_classifier", _REMEDY)
            self._classifier = get(device=self._device)
        matrix = frame_matrix("opengl", "optical")
        self._to_optical = torch.from_numpy(matrix).float().to(self._device)

    def label_panorama(self, panorama: Panorama, size: tuple[int, int]) -> TeacherLabels:
        rows = min(panorama.image.shape[0], 2 * self._face)
        grid = (rows, 2 * rows)
        faces = self._faces(picture(panorama, grid, self._device, normalise=True))
        half = torch.float16 if self._device.type == "cuda" else torch.bfloat16
        out = self._model(faces, dtype=half, skip_heads=self._skipped(panorama, grid))
        labels = TeacherLabels()
        if "depth" in self.tasks:
            depth, _ = self._model.process_depth_output(
                out["depth"][0], size, log_scale=out.get("scale")
            )
            labels.depth = on_canvas(depth, size)
        if "normals" in self.tasks:
            normals = self._model.process_normals_output(out["normals"][0], size)
            labels.normals = self._to_optical_frame(on_canvas(normals, size))
        if "sky" in out:
            sky = self._to_sphere(out["sky"][0].float().sigmoid(), *size, fov=self._fov)
            labels = labels.without(on_canvas(sky, size) > _SKY)
        if labels.normals is not None:
            check_facing(self.name, labels.normals)
        return labels

    def _to_optical_frame(self, normals: Tensor) -> Tensor:
        return torch.einsum("ij,njhw->nihw", self._to_optical, normals)

    def _faces(self, image: Tensor) -> Tensor:
        """[1, 3, H, W] -> [1, 6, 3, face, face]."""
        return self._to_faces(image[0], face_w=self._face, fov=self._fov)[None]

    def _skipped(self, panorama: Panorama, grid: tuple[int, int]) -> set[str] | None:
        """The scale head that does not fit the scene; None where there is but one."""
        if self._classifier is None:
            return None
        plain = self._faces(picture(panorama, grid, self._device, normalise=False))
        label, _ = self._classifier.classify(plain[0])
        return {head for scene, head in _SCALES.items() if scene != label}


def _config(source: str) -> Any:
    load = from_package("pager", "omegaconf", "OmegaConf", _REMEDY).load
    path = Path(source) / "config.yaml"
    if path.is_file():
        return pretrained(f"pager:{source}", load, path)
    download = from_package("pager", "huggingface_hub", "hf_hub_download", _REMEDY)
    found = pretrained(f"pager:{source}", download, repo_id=source, filename="config.yaml")
    return pretrained(f"pager:{source}", load, found)
