"""What a study says of itself: its status, its winner, the facts of its report."""
