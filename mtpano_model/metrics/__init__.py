"""What is measured of depth, normals, semantics and the seam."""
