"""What `search` raises: one base, so that a caller can catch everything the service refuses."""


class SearchError(Exception):
    """Something the service cannot do as it was asked to; the message says what to change."""


def summarize(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


class DataError(SearchError, ValueError):
    """A source or a prepared set that cannot be used."""


class SettingsError(SearchError, ValueError):
    """A study file or an option that cannot be used."""


class StudyMismatchError(SearchError, ValueError):
    """A study of that name exists, with other data, another space or other settings."""


class NoResultError(SearchError, ValueError):
    """A study that has nothing to show yet: none of its trials was trained to its end."""


class ModelError(SearchError, ValueError):
    """The file of a model cannot be written, or is none that can be loaded."""


class TrialRecordError(SearchError, ValueError):
    """A trial that cannot be trained, or built, again from its record."""


class WeightsNotFoundError(TrialRecordError):
    """A trial's weights are not kept any more."""


class WorkerError(SearchError, RuntimeError):
    """Workers ended in a way that leaves nothing to go on with."""


class WorkerStartError(WorkerError):
    """A worker cannot do what it was asked to, and would fail again."""


class ArtifactError(SearchError, RuntimeError):
    """Files cannot be kept where `--artifacts` says, or cannot be had from there."""


class StudyBusyError(SearchError, RuntimeError):
    """Workers are at work on a study that nobody may be at work on."""
