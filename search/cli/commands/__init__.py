"""Each command of `convsearch`: what it may be told, and the function that does the work.

What a command prints is in `search.cli.views`.
"""
