"""Generated worlds: places of every size, furnished and peopled, seen by a 360-degree camera.

From a name to rendered views: a kind of place (`kinds`) draws a plan (`plan`), builds its shell
(`shell`), furnishes it (`furnish`, `people`) and lights it (`light`) into a `scene`; `camera` finds
views in it; `renderer` has Blender render them in a process of its own (`blender_side`); `picture`
and `truth` make files of the result and `session` runs it all. Only the `blender_*` files need
Blender, and nothing else imports them. The `anny_*` files make the people, by a command of their
own (`anny_people`) in a Python that has anny.

Coordinates of a world: metres, x and y along the ground, z up, the ground floor at z = 0.
"""
