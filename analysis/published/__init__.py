"""The paper's published numbers, which come with the package."""
