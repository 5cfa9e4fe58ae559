"""Generated worlds: places of every size, furnished and peopled, seen by a 360-degree camera.

One way through the package: a kind of place (`kinds`) draws a plan (`plan`), builds its shell
(`shell`), furnishes it (`furnish`, `people`) and lights it (`light`) into a `scene`; `camera` finds
views in it; `renderer` has Blender render them in a process of its own (`blender_side`); `picture`
and `truth` make files of the result and `session` runs it all. Only the `blender_*` files need
Blender, and nothing else imports them. The `anny_*` files make people to put in, a command of its
own (`anny_people`) for a Python that has anny.

Coordinates of a world: metres, x and y along the ground, z up, the ground floor at z = 0.
"""
