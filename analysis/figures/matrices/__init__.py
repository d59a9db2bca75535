"""Figures of a model's matrices: singular values, condition numbers, ranks."""
