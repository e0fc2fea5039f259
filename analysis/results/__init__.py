"""A study's results as values: ranking, families, status, metrics and export."""
