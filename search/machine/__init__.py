"""This machine: GPUs, memory, signals, child processes and the format of logs.

Nothing here depends on studies, trials or the store.
"""
