"""The errors of `storage`: one base, and a kind for each way to handle one."""


class StoreError(Exception):
    """An operation of the store failed; the message says what to do."""


class StoreUrlError(StoreError, ValueError):
    """The URL names no kind of store that convsearch supports."""


class StoreMissingError(StoreError, LookupError):
    """There is no store at the URL, and none was to be made."""


class StoreVersionError(StoreError, RuntimeError):
    """Another version of convsearch or of Optuna wrote the store, or is installed."""


class StudyNotFoundError(StoreError, LookupError):
    """No study of that name is in the store."""


class LeaseLostError(StoreError, RuntimeError):
    """The trial was taken by another worker, so this one must stop training it."""


class StoreFullError(StoreError, OSError):
    """A file was not saved: the files in the store would exceed their limit."""


class StoreUnavailableError(StoreError, TimeoutError):
    """The store was open, and has not answered for so long that the retries ended."""
