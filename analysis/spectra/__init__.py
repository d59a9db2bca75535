"""What the singular values of a model's matrices say, and the file that keeps them."""
