"""One stored row: its columns, its values, what is wrong with it."""
