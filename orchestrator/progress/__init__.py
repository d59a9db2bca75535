"""How far a run is: what it counts, what is left, and how that is shown."""
