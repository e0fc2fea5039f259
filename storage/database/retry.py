"""Patience: what to do while the store is away, locked or full. It is waited for.

A store restarts, a connection drops, another process holds SQLite's lock, a disk fills up: all of
that passes, and none of it may end a worker. Whatever is called through `with_retry` is therefore
called again. So it must be right to call it twice, also where the first call was committed and
only the answer was lost.
"""

import functools
import logging
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from storage.errors import StoreUnavailableError

logger = logging.getLogger(__name__)

RETRY_TIMEOUT_S = 600.0
SHUTDOWN_TIMEOUT_S = 3.0
"""How long somebody who has been asked to leave still waits."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
LOG_AFTER_S = 3.0
"""Shorter waits are nobody's concern: writers wait for each other all the time."""

SQLITE_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,  # what a quota or a limit of file sizes comes to
        sqlite3.SQLITE_CANTOPEN,  # the files beside the store cannot be made on a full disk
        sqlite3.SQLITE_PROTOCOL,
    }
)
POSTGRES_TRANSIENT = re.compile(r"08...|40...|53...|57P..|57014|55P03|25P0[34]|58030")
"""Classes of SQLSTATE: connection, rollback (deadlock), resources (connections, disk), shutdown
and start-up; then timeouts of statements, locks and transactions, and an I/O error."""
REFUSED = re.compile(r"authentication|password|does not exist|pg_hba|permission", re.IGNORECASE)
"""What a server that does not want us says while we connect, where there is no SQLSTATE."""

P = ParamSpec("P")
R = TypeVar("R")


class RetryPolicy:
    """How long an open store is waited for: ten minutes, unless `timeout_s` is set."""

    def __init__(self) -> None:
        self.timeout_s = RETRY_TIMEOUT_S
        self._shutdown_deadline = float("inf")

    def begin_shutdown(self) -> None:
        """Wait for a few seconds at most from now on; safe from a signal handler."""
        self._shutdown_deadline = min(
            self._shutdown_deadline, time.monotonic() + SHUTDOWN_TIMEOUT_S
        )

    @property
    def is_shutting_down(self) -> bool:
        """Whether somebody was asked to leave."""
        return self._shutdown_deadline < float("inf")

    def call(self, function: Callable[[], R]) -> R:
        """Call a function until the store answers.

        Raises:
            StoreAwayError: If it has not answered for `timeout_s`, or we are to leave.
        """
        began, pause_s, is_logged = time.monotonic(), FIRST_PAUSE_S, False
        while True:
            try:
                result = function()
            except (SQLAlchemyError, StorageInternalError) as error:
                reason = transient_reason(error)
                if reason is None:
                    raise
                if time.monotonic() > min(began + self.timeout_s, self._shutdown_deadline):
                    raise StoreUnavailableError(f"The store does not answer: {reason}.") from error
            else:
                if is_logged:
                    logger.warning("the store answers again")
                return result
            if not is_logged and time.monotonic() - began > LOG_AFTER_S:
                logger.warning("waiting for the store: %s", reason)
                is_logged = True
            time.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class SupportsRetry(Protocol):
    """A store, or a part of one."""

    @property
    def retry(self) -> RetryPolicy:
        """How long it is waited for."""


S = TypeVar("S", bound=SupportsRetry)


def with_retry(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a function of a store wait for the store; it has to be one that may run twice."""

    @functools.wraps(function)
    def call(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return store.retry.call(lambda: function(store, *args, **kwargs))

    return call


def transient_reason(error: BaseException) -> str | None:
    """Return in a line why the store could not do it, if that will pass; else None."""
    for cause in _causes(error):
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            if cause.connection_invalidated or _is_transient(cause, cause.orig):
                lines = str(cause.orig).strip().splitlines()
                return lines[0] if lines else type(cause.orig).__name__
            return None
    return None


def _is_transient(error: DBAPIError, original: BaseException) -> bool:
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in SQLITE_TRANSIENT
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return POSTGRES_TRANSIENT.fullmatch(state) is not None
    return isinstance(error, OperationalError) and not REFUSED.search(str(original))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to what it came of: Optuna's own say nothing but `see above`."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
