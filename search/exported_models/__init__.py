"""Exported model files: write them, check them before Keras reads them, predict with them.

Networks of trials that are not exported are in `search.evaluation`.
"""
