"""What a study can be told: study files, options and defaults, checked and stored.

The search space is read by `spaces`, images by `search.data`.
"""
