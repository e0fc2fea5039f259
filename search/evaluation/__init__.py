"""Evaluation of trained networks: confirmation over seeds, the test split, reproduction.

The statistics behind a recommendation are in `analysis.confirmation`.
"""
