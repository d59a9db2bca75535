"""What the commands share: options, refusals, exit codes, tables."""
