"""The commands of `convsearch`: their options and calls; output is in `search.cli.views`."""
