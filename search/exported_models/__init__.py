"""Exported models: write their files, check them before Keras loads them, predict with them.

Networks of trials that are not exported are in `search.evaluation`.
"""
