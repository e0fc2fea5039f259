"""Study files, options and their defaults: checked, and stored with a study.

The search space is read by `spaces`, images by `search.data`; nothing is imported here.
"""
