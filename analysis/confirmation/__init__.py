"""Configs compared over several seeds: their trainings, and the recommended config."""
