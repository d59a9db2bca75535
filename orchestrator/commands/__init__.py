"""The commands: thin functions over the Python API."""
