"""Records of studies: created, loaded and deleted, with their files, predictions and copies.

The trials of a running study are in `storage.coordination`.
"""
