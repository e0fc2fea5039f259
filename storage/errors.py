"""The errors of `storage`: one base class, and a subclass for each way to handle an error."""


class StoreError(Exception):
    """An operation of the store failed; the message says what to do."""


class StoreUrlError(StoreError, ValueError):
    """The URL names no kind of store that convsearch supports."""


class StoreMissingError(StoreError, LookupError):
    """There is no store at the URL, and the call does not make one."""


class StoreVersionError(StoreError, RuntimeError):
    """Another version of convsearch or of Optuna wrote the store, or is installed."""


class StoreDamagedError(StoreError, ValueError):
    """The store holds a value that neither convsearch nor Optuna writes."""


class StudyNotFoundError(StoreError, LookupError):
    """No study of that name is in the store."""


class LeaseLostError(StoreError, RuntimeError):
    """The trial was taken by another worker, so this one must stop training it."""


class StoreFullError(StoreError, OSError):
    """A file was not saved: the files in the store would exceed their limit."""


class StoreUnavailableError(StoreError, TimeoutError):
    """The open store did not answer within the time of the retries."""


class StoreLostError(StoreUnavailableError):
    """The open store was deleted, moved or replaced."""
