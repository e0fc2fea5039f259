"""The command line: options in, text and exit codes out. What it does is done elsewhere."""
