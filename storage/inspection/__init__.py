"""Reading without changing: tables of trials, overviews, live watching, and inconsistencies.

Writes are in `storage.coordination` and `storage.studies`.
"""
