"""What is wrong with a store, and what can be mended of it."""

from search.doctor.finding import Finding
from search.doctor.run import Report, examine

__all__ = ["Finding", "Report", "examine"]
