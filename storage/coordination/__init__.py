"""Workers on one study: leases, the budget, heartbeats, epochs, and recovery of lost trials.

Reading for people is in `storage.inspection`.
"""
