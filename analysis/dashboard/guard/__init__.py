"""Access control of the dashboard: WSGI middleware for any server and any application."""

from analysis.dashboard.guard.middleware import Guard
from analysis.dashboard.guard.permissions import MAX_BODY_BYTES, Access
from analysis.dashboard.guard.requests import client_network

__all__ = ["MAX_BODY_BYTES", "Access", "Guard", "client_network"]
