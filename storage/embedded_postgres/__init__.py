"""A PostgreSQL server of our own in a folder: its data, its supervisor process, its clients."""
