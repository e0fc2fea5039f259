"""The search strategy: seeds, samplers, pruners, and the quota of each family.

Workers apply it (`search.workers`); it does not access the database or start processes.
"""
