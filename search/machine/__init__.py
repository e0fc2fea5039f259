"""This machine: cores, GPUs, memory, installed packages, signals, child processes, log format.

Nothing here depends on studies, trials or the store.
"""
