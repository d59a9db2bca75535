"""Figures of the paper's theory, for studies that measured it."""
