"""Retries of calls to a store that does not answer, is locked or is full.

A restart, a dropped connection, a lock of another process or a full disk must not end a worker. A
function that is retried must be safe to call twice: the first call may have been committed, and
only the answer to the commit lost.
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

from storage.database.error_messages import driver_message, is_store_error
from storage.errors import StoreUnavailableError

logger = logging.getLogger(__name__)

RETRY_TIMEOUT_S = 600.0
SHUTDOWN_TIMEOUT_S = 3.0
"""How long a process that is shutting down still retries."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
LOG_AFTER_S = 3.0
"""Shorter waits are not logged: writers wait for each other all the time."""

SQLITE_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,  # a quota or a limit of file sizes
        sqlite3.SQLITE_CANTOPEN,  # a full disk, on which the files beside the store cannot be made
        sqlite3.SQLITE_PROTOCOL,
    }
)
POSTGRES_TRANSIENT = re.compile(r"08...|40...|53...|57P..|57014|55P03|25P0[34]|58030")
"""Classes of SQLSTATE: connection, rollback (deadlock), resources (connections, disk), shutdown
and start-up; then timeouts of statements, locks and transactions, and an I/O error."""
REFUSED = re.compile(r"authentication|password|does not exist|pg_hba|permission", re.IGNORECASE)
"""Messages of a refused connection; there is no SQLSTATE before a session is open."""

P = ParamSpec("P")
R = TypeVar("R")


def call_with_retry(
    function: Callable[[], R],
    *,
    reason_of: Callable[[Exception], str | None],
    is_over: Callable[[], bool],
    what: str,
    first_pause_s: float = FIRST_PAUSE_S,
    longest_pause_s: float = LONGEST_PAUSE_S,
    log_after_s: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> R:
    """Call a function, which must be safe to call again after an error, until it succeeds.

    `reason_of` returns one line on why a call failed, or None for a lasting error; `is_over` says
    whether to give up. Each pause is twice the one before, up to `longest_pause_s`. A wait for
    `what` longer than `log_after_s` is logged once.

    Raises:
        Exception: The error of the last call, if it is a lasting one or the wait is over.
    """
    began, pause_s, is_logged = time.monotonic(), first_pause_s, False
    while True:
        try:
            result = function()
        except Exception as error:
            reason = reason_of(error)
            if reason is None or is_over():
                raise
        else:
            if is_logged:
                logger.warning("%s is available again", what)
            return result
        if not is_logged and time.monotonic() - began >= log_after_s:
            logger.warning("waiting for %s: %s", what, reason)
            is_logged = True
        sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(2 * pause_s, longest_pause_s)


class RetryPolicy:
    """How long calls of an open store are retried: ten minutes, unless `timeout_s` is set."""

    def __init__(self) -> None:
        self.timeout_s = RETRY_TIMEOUT_S
        self._shutdown_deadline = float("inf")

    def begin_shutdown(self) -> None:
        """Retry for a few more seconds at most; safe to call from a signal handler."""
        self._shutdown_deadline = min(
            self._shutdown_deadline, time.monotonic() + SHUTDOWN_TIMEOUT_S
        )

    @property
    def is_shutting_down(self) -> bool:
        """Whether this process is shutting down."""
        return self._shutdown_deadline < float("inf")

    def call(self, function: Callable[[], R]) -> R:
        """Call a function until the store answers.

        Raises:
            StoreUnavailableError: If it has not answered for `timeout_s`, or during a shutdown.
        """
        deadline = time.monotonic() + self.timeout_s
        try:
            return call_with_retry(
                function,
                reason_of=lambda error: transient_reason(error) if is_store_error(error) else None,
                is_over=lambda: time.monotonic() > min(deadline, self._shutdown_deadline),
                what="the store",
                log_after_s=LOG_AFTER_S,
            )
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = transient_reason(error)
            if reason is None:
                raise
            raise StoreUnavailableError(f"The store does not answer: {reason}.") from error


class SupportsRetry(Protocol):
    """A store, or a part of one."""

    @property
    def retry(self) -> RetryPolicy:
        """How long its calls are retried."""


S = TypeVar("S", bound=SupportsRetry)


def with_retry(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Retry a function of a store; it must be safe to call twice."""

    @functools.wraps(function)
    def call(store: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return store.retry.call(lambda: function(store, *args, **kwargs))

    return call


def transient_reason(error: BaseException) -> str | None:
    """Return one line on why the store failed, or None for a lasting error."""
    for cause in _causes(error):
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            is_transient = cause.connection_invalidated or _is_transient(cause, cause.orig)
            return driver_message(cause) if is_transient else None
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
    """Yield an error and its causes: Optuna's own errors only refer to their cause."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
