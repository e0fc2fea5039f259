"""Workers on one study: leases, the budget, heartbeats, epochs, and recovery of lost trials."""
