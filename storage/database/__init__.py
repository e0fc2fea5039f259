"""The database itself: URLs, engines, retries, error messages, and opening a store."""
