"""Errors that `analysis` raises, and their base class."""


class AnalysisError(Exception):
    """Base of all errors of `analysis`; the message says what to change."""


class ExportError(AnalysisError, ValueError):
    """Raised for a format or a file that an export cannot be written to."""


class MetricError(AnalysisError, ValueError):
    """Raised for an unknown metric to rank by."""


class ReportError(AnalysisError, RuntimeError):
    """Raised if a file of a report cannot be written; the message names the file."""


class DashboardVersionError(AnalysisError, ImportError):
    """Raised for a version of optuna-dashboard that was not tested."""
