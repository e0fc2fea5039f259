"""The command line: options in, text and exit codes out; the work is done in other packages."""
