"""Each command of `convsearch`: its options, and the call of the function that does the work.

What a command prints is in `search.cli.views`.
"""
