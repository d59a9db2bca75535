"""A clipped model written as a checkpoint, whole or with its clipped matrices as two thin factors."""
