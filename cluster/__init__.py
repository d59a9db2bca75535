"""Where trials run: the pool, its two forms, and the replica that both hold."""
