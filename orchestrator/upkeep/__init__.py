"""Looking after a study's folder: is every file whole and every row right, and how many files are there."""
