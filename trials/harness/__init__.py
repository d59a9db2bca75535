"""Tasks of lm-evaluation-harness, by their names there."""
