"""How the search proceeds: seeds, sampler, pruner, and the first trials of each family.

Workers ask it for proposals and verdicts (`search.workers`); it knows no store and no process.
"""
