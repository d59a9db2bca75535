"""The files of a checkpoint's folder: which there are, what their headers say, and what identifies them."""
