"""Worker processes: they claim trials, have trainers train them, and record the results.

Training itself is in `search.training`; leases and heartbeats are in `storage.coordination`.
"""
