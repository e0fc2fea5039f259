"""Optuna's tables: their layout, and trials and studies read and written by plain SQL."""
