"""Who may do what with the dashboard: WSGI middleware between a server and an application.

It knows neither of them: any WSGI application is read-only behind it, asks for a token, and
answers with safe headers.
"""

from analysis.dashboard.guard.access import MAX_BODY_BYTES, Access
from analysis.dashboard.guard.middleware import Guard

__all__ = ["MAX_BODY_BYTES", "Access", "Guard"]
