"""Figure 5: in-context linear regression, from its own file of numbers."""
