"""The embedded model: a small GPT-J that learns in context, and the script that trained it."""
