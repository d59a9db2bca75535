"""A study's folder: what is in it, who holds it, what is known, how it is opened."""
