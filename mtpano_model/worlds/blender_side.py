"""Run by Blender's Python, never imported: builds a saved scene in Cycles and renders views of it.

Requests come as lines of JSON on standard input, one reply follows each on standard output:

    {"do": "open", "folder": F, "textures": T, "skies": {name: file}, "size": [H, W], "threads": N}
    {"do": "truth", "view": V, "file": F}    depth, world normals, class at pixel centres -> F.npz
    {"do": "picture", "view": V, "file": F, "samples": S, "seed": K}     linear RGB -> F.npz

A view has "position" (x, y, z) and "world_from_camera" (3x3, columns: right, down, forward).
Models stay in memory from one scene to the next. It imports the other `blender_*` files and
Blender, but nothing else of mtpano.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
from blender_light import add_light
from blender_materials import OWN, make_material
from blender_models import import_model, set_tint
from mathutils import Matrix, Vector

_RIG = "mtpano carrier"
_BORDER = 24  # columns rendered beyond both ends, so that the denoiser sees across the seam
_TRUTH_ALPHA = 0.05  # glass counts as a surface, cut-out leaves do not


class Worker:
    """One scene at a time."""

    def __init__(self):
        self.models = {}
        self.skies = {}

    def open(self, request):
        """Build the scene of a folder (scene.json, surfaces.npz)."""
        self._clear()
        folder = Path(request["folder"])
        self.textures, self.sky_files = Path(request["textures"]), request["skies"]
        self.height, self.width = request["size"]
        data = json.loads((folder / "scene.json").read_text(encoding="utf-8"))
        surfaces = np.load(folder / "surfaces.npz")
        # First, while the scene is empty: each import brings the whole scene up to date.
        for key, source in data["models"].items():
            if key not in self.models:
                self.models[key] = import_model(source)
        for number, group in enumerate(data["groups"]):
            self._add_surfaces(surfaces, number, group)
        for placed in data["placed"]:
            self._add_model(placed)
        for light in data["lights"]:
            add_light(self.scene, light)
        self._set_sky(data["sky"])
        self._set_camera_and_engine(request["threads"])
        return {}

    def _clear(self):
        old = [
            item
            for kind in (bpy.data.objects, bpy.data.lights, bpy.data.cameras, bpy.data.worlds)
            for item in kind
        ]
        old += [i for kind in (bpy.data.meshes, bpy.data.materials) for i in kind if _is_own(i)]
        bpy.data.batch_remove(old)  # one by one it takes a minute
        self.scene = bpy.context.scene

    # --- surfaces ------------------------------------------------------------------------------

    def _add_surfaces(self, arrays, number, group):
        vertices, loops, counts = (arrays[f"{n}{number}"] for n in ("v", "l", "n"))
        self._add_mesh(
            vertices,
            loops,
            counts,
            arrays.get(f"uv{number}"),
            make_material(self.textures, group["material"]),
            group["label"],
            group["smooth"],
        )

    def _add_mesh(self, vertices, loops, counts, uv, material, label, smooth):
        mesh = bpy.data.meshes.new(OWN)
        mesh.vertices.add(len(vertices))
        mesh.vertices.foreach_set("co", vertices.ravel())
        mesh.loops.add(len(loops))
        mesh.loops.foreach_set("vertex_index", loops)
        mesh.polygons.add(len(counts))
        starts = np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.int32)
        mesh.polygons.foreach_set("loop_start", starts)
        mesh.polygons.foreach_set("use_smooth", np.full(len(counts), smooth))
        if uv is not None:
            mesh.uv_layers.new().data.foreach_set("uv", uv[loops].ravel())
        mesh.update(calc_edges=True)
        mesh.validate()
        mesh.materials.append(material)
        item = bpy.data.objects.new(OWN, mesh)
        item.pass_index = label
        self.scene.collection.objects.link(item)
        return item

    # --- models --------------------------------------------------------------------------------

    def _add_model(self, placed):
        parts, low, high, materials = self.models[placed["key"]]
        for shader_color in materials:
            set_tint(shader_color, placed["tint"])
        extent = [max(b - a, 1e-6) for a, b in zip(low, high, strict=True)]
        scale = Matrix.Diagonal([s / e for s, e in zip(placed["size"], extent, strict=True)] + [1])
        center = Matrix.Translation(
            Vector((-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]))
        )
        place = Matrix.Translation((placed["x"], placed["y"], placed["z"])) @ Matrix.Rotation(
            placed["angle"], 4, "Z"
        )
        for mesh, matrix in parts:
            item = bpy.data.objects.new("placed", mesh)
            item.matrix_world = place @ scale @ center @ matrix
            item.pass_index = placed["label"]
            self.scene.collection.objects.link(item)

    # --- sky -----------------------------------------------------------------------------------

    def _set_sky(self, sky):
        world = bpy.data.worlds.new(OWN)
        self.scene.world = world
        world.use_nodes = True
        tree = world.node_tree
        background = tree.nodes["Background"]
        background.inputs[1].default_value = 0.0
        if sky["name"]:
            image = self._sky_image(sky["name"])
            node = tree.nodes.new("ShaderNodeTexEnvironment")
            node.image = image
            where, mapping = (
                tree.nodes.new("ShaderNodeTexCoord"),
                tree.nodes.new("ShaderNodeMapping"),
            )
            mapping.inputs["Rotation"].default_value = (0, 0, sky["turn"])
            tree.links.new(where.outputs["Generated"], mapping.inputs[0])
            tree.links.new(mapping.outputs[0], node.inputs[0])
            tree.links.new(node.outputs[0], background.inputs[0])
            background.inputs[1].default_value = sky["brightness"] / self.skies[sky["name"]]
        world.cycles.sampling_method = "MANUAL"
        world.cycles.sample_map_resolution = 128

    def _sky_image(self, name):
        """The panorama; notes its mean light, the sun's disc cut down."""
        stem = name.split(":")[1]
        file = self.sky_files.get(name) or str(
            Path(bpy.utils.resource_path("LOCAL"), "datafiles/studiolights/world", f"{stem}.exr")
        )
        image = bpy.data.images.load(file, check_existing=True)
        if name not in self.skies:
            width, height = image.size
            pixels = np.empty(width * height * image.channels, np.float32)
            image.pixels.foreach_get(pixels)
            light = np.minimum(pixels.reshape(height, width, -1)[..., :3].mean(-1), 20.0)
            weight = np.cos((np.arange(height) / height - 0.5) * np.pi)[:, None]
            self.skies[name] = max(float((light * weight).mean() * np.pi / 2), 1e-3)
        return image

    # --- rendering -----------------------------------------------------------------------------

    def _set_camera_and_engine(self, threads):
        scene, data = self.scene, bpy.data.cameras.new(OWN)
        self.camera = bpy.data.objects.new(OWN, data)
        scene.collection.objects.link(self.camera)
        scene.camera = self.camera
        data.type, data.panorama_type = "PANO", "EQUIRECTANGULAR"
        data.clip_start, data.clip_end = 0.01, 500
        scene.render.engine = "CYCLES"
        cycles, render = scene.cycles, scene.render
        cycles.device, cycles.denoiser = "CPU", "OPENIMAGEDENOISE"
        cycles.denoising_prefilter = "FAST"
        cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 3, 2, 2
        cycles.transparent_max_bounces = 8
        cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 4, 30
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.use_adaptive_sampling = cycles.use_light_tree = False
        render.threads_mode, render.threads = "FIXED", threads
        render.resolution_percentage = 100
        render.use_persistent_data = False
        scene.view_layers[0].pass_alpha_threshold = _TRUTH_ALPHA

    def _look(self, view, border):
        right_down_forward = Matrix(view["world_from_camera"])
        camera_axes = right_down_forward @ Matrix.Diagonal((1, -1, -1))  # Blender: right, up, back
        self.camera.matrix_world = Matrix.Translation(view["position"]) @ camera_axes.to_4x4()
        reach = np.pi * (1 + 2 * border / self.width)
        self.camera.data.longitude_min, self.camera.data.longitude_max = -reach, reach
        self.scene.render.resolution_x = self.width + 2 * border
        self.scene.render.resolution_y = self.height
        for item in [o for o in self.scene.objects if o.name.startswith(_RIG)]:
            bpy.data.objects.remove(item)
        for part in view.get("rig", ()):
            material = make_material(self.textures, part["material"])
            vertices = np.array(part["v"], np.float32)
            loops, counts = np.array(part["l"], np.int32), np.array(part["n"], np.int32)
            item = self._add_mesh(
                vertices, loops, counts, None, material, part["label"], part["smooth"]
            )
            item.name = _RIG
        bpy.context.view_layer.update()

    def truth(self, request):
        """One ray through every pixel's centre."""
        self._look(request["view"], 0)
        layer, cycles = self.scene.view_layers[0], self.scene.cycles
        layer.use_pass_z = layer.use_pass_normal = layer.use_pass_object_index = True
        cycles.samples, cycles.max_bounces, cycles.seed = 1, 0, 1
        cycles.use_denoising, cycles.filter_width = False, 0.01
        channels = self._render(request["file"], "OPEN_EXR_MULTILAYER", "MULTI_LAYER_IMAGE")
        layer.use_pass_z = layer.use_pass_normal = layer.use_pass_object_index = False
        depth = _channel(channels, "Depth.Z", "Depth.V")
        normal = np.stack([_channel(channels, f"Normal.{axis}") for axis in "XYZ"], -1)
        label = _channel(channels, "Object Index.X", "IndexOB.X", "Object Index.V")
        np.savez(request["file"], depth=depth, normal=normal, label=np.rint(label).astype(np.uint8))
        return {}

    def picture(self, request):
        """The picture in linear light, denoised, without the border."""
        self._look(request["view"], _BORDER)
        cycles = self.scene.cycles
        cycles.samples, cycles.max_bounces, cycles.seed = request["samples"], 3, request["seed"]
        cycles.use_denoising, cycles.filter_width = True, 1.5
        channels = self._render(request["file"], "OPEN_EXR", "IMAGE")
        wide = np.stack([_channel(channels, axis) for axis in "RGB"], -1)
        np.savez(request["file"], rgb=_join_ends(wide))
        return {}

    def _render(self, file, file_format, media):
        settings = self.scene.render.image_settings
        settings.media_type = media
        settings.file_format, settings.color_depth = file_format, "32"
        path = f"{file}.exr"
        self.scene.render.filepath = path
        bpy.ops.render.render(write_still=True)
        with OpenEXR.File(path, separate_channels=True) as exr:
            channels = {
                name if "." in name or not part.name() else f"{part.name()}.{name}": np.array(
                    channel.pixels
                )
                for part in exr.parts
                for name, channel in part.channels.items()
            }
        os.remove(path)
        return channels


def _is_own(item):
    """Whether it was made for one scene, and not imported to stay."""
    return item.name.startswith(OWN)


def _join_ends(wide):
    """The panorama without its border, which fades in where it shows the other end once more.

    Both ends were denoised from their own noise; at the seam each is the mean of the two.
    """
    b = _BORDER
    rgb = wide[:, b:-b].copy()
    share = (0.5 + 0.5 * (np.arange(b) + 0.5) / b)[None, :, None]
    rgb[:, :b] = share * rgb[:, :b] + (1 - share) * wide[:, -b:]
    share = share[:, ::-1]
    rgb[:, -b:] = share * rgb[:, -b:] + (1 - share) * wide[:, :b]
    return rgb


def _channel(channels, *endings):
    for ending in endings:
        for name, pixels in channels.items():
            if name == ending or name.endswith(f".{ending}"):
                return pixels.astype(np.float32)
    raise KeyError(f"no channel {endings} among {sorted(channels)}")


def main():
    """Answer requests until standard input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Blender says goes with the errors
    bpy.ops.wm.read_factory_settings(use_empty=True)
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request["do"])(request)
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
