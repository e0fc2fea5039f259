"""Errors that `analysis` raises, with one base class."""


class AnalysisError(Exception):
    """Base of all errors of `analysis`; the message says what to change."""


class ExportError(AnalysisError, ValueError):
    """Raised for a format or a file that an export cannot be written to."""


class MetricError(AnalysisError, ValueError):
    """Raised for an unknown metric to rank by."""


class ReportError(AnalysisError, RuntimeError):
    """A report, or a file of it, that cannot be written; the message names the file."""


class DashboardVersionError(AnalysisError, ImportError):
    """A version of optuna-dashboard that was not tested; the message names the tested one."""


"""Raised if a file of a report cannot be written; the message names the file."""
