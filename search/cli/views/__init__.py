"""Terminal output of commands; the values shown are computed elsewhere."""
