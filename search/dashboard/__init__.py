"""The dashboard as a server process: its socket, its token, and a child process beside a run.

The pages and answers themselves are made in `analysis.dashboard`.
"""
