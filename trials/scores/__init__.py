"""From label scores to outcomes, margins and the counts that metrics follow from."""
