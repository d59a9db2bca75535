"""A checkpoint: found, described without a tensor, loaded, and where it keeps its matrices."""
