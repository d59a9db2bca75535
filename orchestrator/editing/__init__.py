"""What helps to write a study file: a draft to start from, and a JSON schema for editors."""
