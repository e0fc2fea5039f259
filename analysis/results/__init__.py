"""A study's results as values: ranking, families, status, metrics and export.

How they are shown is left to `analysis.report`, `analysis.dashboard` and the command line.
"""
