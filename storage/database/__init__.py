"""The database itself: URLs, engines, retries, error messages, and opening a store.

What is written to it is in the rooms above.
"""
