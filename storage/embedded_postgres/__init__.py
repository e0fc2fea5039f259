"""A PostgreSQL server of our own in a folder: its data, its supervisor process, its clients.

Servers that others run are reached through `storage.database`.
"""
