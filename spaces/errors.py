"""The error that everything in `spaces` raises."""


class SpaceError(ValueError):
    """A search space, a parameter or a configuration that cannot be used as it stands."""
