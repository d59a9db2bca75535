"""Which trial runs next, and what survives a crash: study, drivers, run loop, command line."""
