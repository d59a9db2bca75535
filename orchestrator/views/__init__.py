"""A look at a task, a model, a spectrum, the machine."""
