"""Who won and by how much: points, winners, gains, smoothed accuracy, the Pareto front."""
