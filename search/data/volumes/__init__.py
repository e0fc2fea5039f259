"""Volumes in NIfTI and MetaImage files: their headers, their voxels, and slices of them.

How images become classes and splits is said elsewhere, the same for every kind of file.
"""
