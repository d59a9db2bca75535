"""The values that travel between driver and replicas: clips, trials, results. None needs torch."""
