"""HDF5 files of images: what is in them, found by a child process, and the values, read here.

The HDF5 library crashes on damaged files, so it runs only in the child, which says where in the
file the values of a dataset lie.
"""
