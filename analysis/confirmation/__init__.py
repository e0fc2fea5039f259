"""Configs compared over several seeds: the trainings, the comparison, the recommendation.

The trainings are run by `search.evaluation` and `search.workers`.
"""
