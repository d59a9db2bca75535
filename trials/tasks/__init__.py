"""Tasks: their definitions, rows, splits, demonstrations and prompts."""
