"""This machine: devices, memory, signals, child processes, log format and atomic files.

Nothing here knows what a study is.
"""
