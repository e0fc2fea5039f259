"""Errors of `search`, with a common base class."""


class SearchError(Exception):
    """Base of all errors; the message says what to change."""


def summarize(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


class DataError(SearchError, ValueError):
    """A source or a prepared set cannot be used."""


class SettingsError(SearchError, ValueError):
    """A study file or an option cannot be used."""


class StudyMismatchError(SearchError, ValueError):
    """A study of that name exists with other data, another space or other settings."""


class NoResultError(SearchError, ValueError):
    """A study has no complete trial yet."""


class ModelError(SearchError, ValueError):
    """A model file cannot be written or loaded."""


class TrialRecordError(SearchError, ValueError):
    """A trial cannot be trained or rebuilt from its record."""


class WeightsNotFoundError(TrialRecordError):
    """The weights of a trial are no longer stored."""


class WorkerError(SearchError, RuntimeError):
    """Workers have ended, and the study cannot continue."""


class WorkerStartError(WorkerError):
    """A worker cannot start, and would fail again."""


class ArtifactError(SearchError, RuntimeError):
    """Artifacts cannot be written or read."""


class FetchError(SearchError, RuntimeError):
    """A public set cannot be downloaded."""


class StudyBusyError(SearchError, RuntimeError):
    """Workers serve a study that must be idle."""
