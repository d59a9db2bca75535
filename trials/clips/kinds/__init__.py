"""The kinds of clip besides ``svd``."""
