"""Configs compared over several seeds: their trainings and the recommended one.

Trainings are queued by `search.evaluation` and run by `search.workers`.
"""
