"""Studies: create, open, fork, list and delete them, and choose their first trials.

Their rows in the store are in `storage.studies`; workers are in `search.workers`.
"""
