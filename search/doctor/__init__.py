"""`convsearch doctor`: checks of a store and its files; `storage.inspection` repairs tables."""

from search.doctor.finding import Finding
from search.doctor.run import DoctorReport, run_checks

__all__ = ["DoctorReport", "Finding", "run_checks"]
