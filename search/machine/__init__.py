"""This machine: GPUs, memory, signals, child processes and the format of logs.

Studies, trials and the store do not occur here.
"""
