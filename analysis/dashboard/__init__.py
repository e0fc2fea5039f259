"""The dashboard: optuna-dashboard with notes, plots and pictures of its own, cached and guarded.

The server process is in `search.dashboard`; the figures are in `analysis.report`.
"""
