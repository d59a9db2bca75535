"""A checkpoint's tokenizer: loaded without chance, and texts read by it as the model is to see them."""
