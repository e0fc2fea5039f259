"""What is wrong with a store, and what can be mended of it."""

from search.doctor.examination import Report, examine
from search.doctor.finding import Finding

__all__ = ["Finding", "Report", "examine"]
