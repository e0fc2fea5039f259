"""What is wrong with a store, and what can be mended of it."""

from search.doctor.finding import Finding
from search.doctor.run import DoctorReport, run_checks

__all__ = ["DoctorReport", "Finding", "run_checks"]
