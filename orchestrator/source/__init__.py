"""Where a study comes from: a file or a shipped study, its YAML, and keys given beside it."""
