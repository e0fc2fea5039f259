"""Access control of the dashboard: WSGI middleware between a server and an application.

It depends on neither: any WSGI application behind it is read-only, protected by a token, and
sends secure headers. What is shown is in `analysis.dashboard`.
"""

from analysis.dashboard.guard.middleware import Guard
from analysis.dashboard.guard.permissions import MAX_BODY_BYTES, Access

__all__ = ["MAX_BODY_BYTES", "Access", "Guard"]
