"""Checks of a store and its files, and their repair: what `convsearch doctor` does.

How tables are compared and repaired is in `storage.inspection`.
"""

from search.doctor.finding import Finding
from search.doctor.run import DoctorReport, run_checks

__all__ = ["DoctorReport", "Finding", "run_checks"]
