"""What `storage` raises: one base, and a kind for each thing a caller can do about it."""


class StoreError(Exception):
    """The store cannot do what was asked; the message says what to do."""


class StoreUrlError(StoreError, ValueError):
    """The URL names no kind of store that convsearch knows."""


class StoreMissingError(StoreError, LookupError):
    """There is no store where the URL says, and none was to be made."""


class StoreVersionError(StoreError, RuntimeError):
    """Another version of convsearch or of Optuna wrote the store, or is installed."""


class StudyNotFoundError(StoreError, LookupError):
    """No study of that name is in the store."""


class LeaseLostError(StoreError, RuntimeError):
    """The trial was taken by another worker, so this one must let go of it."""


class StoreFullError(StoreError, OSError):
    """Files in the store would take more than they may, so one was not kept."""


class StoreUnavailableError(StoreError, TimeoutError):
    """The store was open and has not answered for so long that it is waited for no more."""
