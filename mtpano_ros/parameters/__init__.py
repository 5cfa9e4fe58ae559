"""What a user sets: one table of parameters, its descriptors, files and changes at run time."""
