"""What a robot makes of a frame: upright, in true metres, as scans, views, heights and grids.

Numpy and OpenCV, and loops that numba compiles where it is installed and asked for. Every function
takes arrays of one panorama in its optical frame (x right, y down, z forward); `down` is the
direction of gravity in that frame, a unit vector [3].
"""
