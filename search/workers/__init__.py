"""Worker processes: they claim trials, train them with a trainer, and record the results.

Training itself is in `search.training`; leases and heartbeats are in `storage.coordination`.
"""
