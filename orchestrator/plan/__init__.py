"""What a study has ahead, and what it will cost."""
