"""Studies side by side, and a study beside the paper: what differs, who won, and by how much."""
