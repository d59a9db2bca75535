"""A small transformer that learns linear regression in context, and what clips do to its error."""
