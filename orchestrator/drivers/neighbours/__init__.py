"""What points say of each other: a Gaussian process over clips, and what another look at each is worth."""
