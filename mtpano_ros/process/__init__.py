"""Processes: how executables start, take signals and arguments, and end."""
