"""Stand-ins for libraries that no test machine has."""
