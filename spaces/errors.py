"""The errors of `spaces`: an invalid space, config or network, and a failed download."""


class SpaceError(ValueError):
    """A search space, a parameter or a configuration that cannot be used as it stands."""


class DownloadError(SpaceError):
    """A file that cannot be downloaded; the message is the reason, without a capital or an end."""
