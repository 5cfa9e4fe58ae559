"""MTPano for robots: one panorama in; metric depth, surface normals and semantics out.

Nothing is imported here: the robot's half (`inference`, `geometry.sphere`) never loads torch.
"""

__version__ = "0.1.0"
