"""Drivers: which trial runs next; races, and the rules that stop a search."""
