"""Exported model files: writing them, checking them before Keras reads them, predicting.

`search.evaluation` handles networks that are not exported.
"""
