"""A checkpoint evaluated without a study, and which examples a clip turns."""
