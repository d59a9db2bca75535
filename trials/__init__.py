"""What one trial is and does: values, models, factors, tasks, the evaluation engine."""
