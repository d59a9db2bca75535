"""The points of a study, and the layers that condition numbers choose."""
