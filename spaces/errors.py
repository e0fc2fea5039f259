"""The error of `spaces`: an invalid space, config or network."""


class SpaceError(ValueError):
    """A search space, a parameter or a configuration that cannot be used as it stands."""
