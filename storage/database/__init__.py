"""The database itself: URLs, engines, retries, error messages, and opening a store.

The functions that write to it are in the sub-packages above.
"""
