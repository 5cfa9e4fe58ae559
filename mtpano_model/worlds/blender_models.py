"""Imports each model file once, with a node that tints it, for `blender_side`."""

import bpy
import numpy as np
from blender_materials import tint_node
from mathutils import Matrix

_LARGEST_TEXTURE = 512


_FROM_OBJ = Matrix(((1, 0, 0), (0, 0, -1), (0, 1, 0)))


def import_model(source):
    """Parts (mesh, matrix) of a file, turned as the catalogue says; bounds; tint nodes."""
    objects, images = set(bpy.data.objects), set(bpy.data.images)
    materials = set(bpy.data.materials)
    if source["path"].lower().endswith(".obj"):
        bpy.ops.wm.obj_import(filepath=source["path"])
    else:
        bpy.ops.import_scene.gltf(filepath=source["path"])
    rotation = Matrix([source["rotation"][i : i + 3] for i in (0, 3, 6)])
    turn = (_FROM_OBJ @ rotation @ _FROM_OBJ.transposed()).to_4x4()
    bpy.context.view_layer.update()
    parts, low, high = [], np.full(3, np.inf), np.full(3, -np.inf)
    for item in [o for o in bpy.data.objects if o not in objects]:
        if item.type == "MESH" and len(item.data.vertices):
            matrix = turn @ item.matrix_world
            places = np.empty(3 * len(item.data.vertices), np.float32)
            item.data.vertices.foreach_get("co", places)
            places = places.reshape(-1, 3) @ np.array(matrix.to_3x3()).T + np.array(
                matrix.translation
            )
            low, high = np.minimum(low, places.min(0)), np.maximum(high, places.max(0))
            item.data.use_fake_user = True
            parts.append((item.data, matrix))
        bpy.data.objects.remove(item)
    for image in [i for i in bpy.data.images if i not in images]:
        if max(image.size) > _LARGEST_TEXTURE:
            share = _LARGEST_TEXTURE / max(image.size)
            image.scale(*(max(1, int(s * share)) for s in image.size))
            image.pack()  # the renderer would read the file anew, or nothing
    tints = [_prepare(m) for m in bpy.data.materials if m not in materials and m.use_nodes]
    return parts, low.tolist(), high.tolist(), [t for t in tints if t is not None]


def _prepare(material):
    """No bumps, no light of its own, matt enough; its colour goes through a tint node."""
    tree = material.node_tree
    shader = next((n for n in tree.nodes if n.type == "BSDF_PRINCIPLED"), None)
    if shader is None:
        return None
    material.use_fake_user = True
    for name in ("Normal", "Metallic", "Roughness", "Emission Color"):
        for link in list(shader.inputs[name].links):
            tree.links.remove(link)
    shader.inputs["Emission Strength"].default_value = 0
    for name, least, most in (("Roughness", 0.18, 0.9), ("Metallic", 0.0, 0.9)):
        shader.inputs[name].default_value = min(most, max(least, shader.inputs[name].default_value))
    color, tint = shader.inputs["Base Color"], tint_node(tree)
    textured = bool(color.links)
    if textured:
        tree.links.new(color.links[0].from_socket, tint.inputs["Color"])
    else:
        tint.inputs["Color"].default_value = [min(v, 0.88) for v in color.default_value]
    tree.links.new(tint.outputs[0], color)
    return tint, textured


def set_tint(prepared, tint):
    node, textured = prepared
    hue, saturation, value = tint or (0.5, 1.0, 1.0)
    node.inputs["Hue"].default_value = (
        0.5 + (hue - 0.5) * (0.3 if textured else 1.0) if tint else 0.5
    )
    node.inputs["Saturation"].default_value = saturation
    node.inputs["Value"].default_value = value
