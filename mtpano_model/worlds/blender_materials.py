"""Blender materials from those of a scene, for `blender_side`."""

import bpy

OWN = "mtpano own"  # names what is made for one scene; imported things have names of their own
_GLASS_ALPHA = 0.08  # of glass seen straight on; the truth counts what is above its own limit


def make_material(textures, m):
    """A material of the scene; textures: the folder of computed pictures."""
    material = bpy.data.materials.new(OWN)
    material.use_nodes = True
    tree = material.node_tree
    shader = tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*m["color"], 1)
    shader.inputs["Roughness"].default_value = m["roughness"]
    shader.inputs["Metallic"].default_value = m["metallic"]
    if m["kind"] == "glass":
        _make_glass(tree, m["color"])
    elif m["kind"] == "lamp":
        shader.inputs["Emission Color"].default_value = (*m["color"], 1)
        shader.inputs["Emission Strength"].default_value = m["strength"]
    elif m["texture"]:
        color = _texture(tree, textures, m)
        tree.links.new(color, shader.inputs["Base Color"])
        if m["kind"] == "screen":
            tree.links.new(color, shader.inputs["Emission Color"])
            shader.inputs["Emission Strength"].default_value = m["strength"]
    if m["kind"] in ("lamp", "screen"):
        material.cycles.emission_sampling = "NONE"  # the lights beside them do the lighting
    return material


def _texture(tree, textures, m):
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(textures / f"{m['texture']}.png"), check_existing=True)
    where = tree.nodes.new("ShaderNodeTexCoord")
    mapping = tree.nodes.new("ShaderNodeMapping")
    if m["size"]:
        mapping.inputs["Scale"].default_value = (1 / m["size"],) * 3
        mapping.inputs["Location"].default_value = (*m["shift"], 0)
        mapping.inputs["Rotation"].default_value = (0, 0, m["turn"])
        node.projection = "BOX"
    tree.links.new(where.outputs["Object" if m["size"] else "UV"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs[0], node.inputs[0])
    tint = tint_node(tree)
    tint.inputs["Hue"].default_value = m["hue"]
    tint.inputs["Saturation"].default_value = m["saturation"]
    tint.inputs["Value"].default_value = m["value"]
    tree.links.new(node.outputs[0], tint.inputs["Color"])
    return tint.outputs[0]


def _make_glass(tree, color):
    """Clear, with a mirror image that grows to the rim (Schlick's fit of Fresnel's law)."""
    mix = tree.nodes.new("ShaderNodeMixShader")
    clear = tree.nodes.new("ShaderNodeBsdfTransparent")
    gloss = tree.nodes.new("ShaderNodeBsdfGlossy")
    weight = tree.nodes.new("ShaderNodeLayerWeight")
    power, sum_ = tree.nodes.new("ShaderNodeMath"), tree.nodes.new("ShaderNodeMath")
    weight.inputs["Blend"].default_value = 0.5  # "Facing" is then 1 - |cos|
    power.operation, sum_.operation = "POWER", "MULTIPLY_ADD"
    power.inputs[1].default_value = 5.0
    sum_.inputs[1].default_value, sum_.inputs[2].default_value = 1 - _GLASS_ALPHA, _GLASS_ALPHA
    clear.inputs["Color"].default_value = (*color, 1)
    gloss.inputs["Roughness"].default_value = 0.0
    tree.links.new(weight.outputs["Facing"], power.inputs[0])
    tree.links.new(power.outputs[0], sum_.inputs[0])
    tree.links.new(sum_.outputs[0], mix.inputs["Fac"])
    tree.links.new(clear.outputs[0], mix.inputs[1])
    tree.links.new(gloss.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], tree.nodes["Material Output"].inputs["Surface"])


def tint_node(tree):
    """A node that shifts hue, saturation and value."""
    return tree.nodes.new("ShaderNodeHueSaturation")
