"""Studies compared with each other, and with the paper: read, refused, worded."""
