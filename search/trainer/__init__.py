"""The worker's side of a trainer: starting and reusing its process, and the messages to it.

The code that runs in that process, with TensorFlow, is in `search.training`.
"""
