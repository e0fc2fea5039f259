"""The dashboard's server process: its socket, its token, and a child process beside a run.

Its pages and responses are made in `analysis.dashboard`.
"""
