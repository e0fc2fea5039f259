"""Costs of a config before it is built: parameters, memory and operations, and their limits."""
