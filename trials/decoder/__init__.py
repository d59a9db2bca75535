"""A model run block by block, through its own code."""
