"""Lamps, for `blender_side`."""

import bpy
import numpy as np
from blender_materials import OWN


def add_light(scene, light):
    """Link one lamp of the scene's data; cameras and mirrors do not see it."""
    kind = {"area": "AREA", "disk": "AREA", "point": "POINT", "sun": "SUN"}[light["kind"]]
    lamp = bpy.data.lights.new(OWN, kind)
    lamp.energy, lamp.color = light["watts"], light["color"]
    item = bpy.data.objects.new(OWN, lamp)
    if kind == "AREA":
        lamp.shape = "DISK" if light["kind"] == "disk" else "RECTANGLE"
        lamp.size = light["size"]
        lamp.size_y = light["size_y"] or light["size"]
    elif kind == "POINT":
        lamp.shadow_soft_size = light["size"]
    else:
        lamp.angle = light["size"]
        item.rotation_euler = (np.pi / 2 - light["elevation"], 0, light["azimuth"])
    item.location = (light["x"], light["y"], light["z"])
    item.visible_camera = item.visible_glossy = False
    scene.collection.objects.link(item)
