"""Create, open, fork, list and delete studies, and choose their first trials."""
