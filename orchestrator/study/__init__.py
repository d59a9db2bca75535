"""Study files: their keys, what is refused, and where they are read from."""
