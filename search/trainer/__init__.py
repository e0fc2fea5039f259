"""The worker's side of a trainer: start the child process, talk to it, reuse it.

What runs inside the child, TensorFlow included, is in `search.training`.
"""
