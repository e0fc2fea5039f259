"""What `spaces` raises: one base, so that a caller can catch everything a space refuses."""


class SpaceError(ValueError):
    """A search space, a parameter or a configuration that cannot be used as it stands."""
