"""What `analysis` raises: one base, so that a caller can catch everything it refuses."""


class AnalysisError(Exception):
    """Something that cannot be read or written so; the message says what to change."""


class ExportError(AnalysisError, ValueError):
    """A format or a file that an export cannot be written to."""


class MetricError(AnalysisError, ValueError):
    """Nothing that trials can be ranked by."""


class ReportError(AnalysisError, RuntimeError):
    """A report, or a file of it, that cannot be written; the message names the file."""


class DashboardVersionError(AnalysisError, ImportError):
    """A version of optuna-dashboard that was not tested; the message names the tested one."""
