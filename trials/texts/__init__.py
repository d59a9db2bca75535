"""Text as a task: documents cut into windows, of which every token is scored."""
