"""Errors, whole files, names of the hub, versions, memory and tensors: below everything else."""
