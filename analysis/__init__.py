"""The results table, and what it says: winners, figures, the report."""
