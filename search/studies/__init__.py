"""Studies: create, open, fork, list and delete them, and choose the trials they start with.

Their rows in the store are in `storage.studies`; who trains their trials is in `search.workers`.
"""
