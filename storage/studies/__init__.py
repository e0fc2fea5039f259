"""Records of studies: create, load and delete them, their files, predictions and copies.

The trials of a running study are in `storage.coordination`.
"""
