"""The Bayesian driver, and Optuna behind it."""
