"""Errors of a database as one line each, with advice."""

import re

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from storage.database.url import hide_passwords

MAX_MESSAGE = 500
"""Characters of a driver's message: it may repeat a value of the store."""
ADVICE = (
    (
        r"password authentication failed|no password supplied",
        "Check the user and the password; ~/.pgpass or $PGPASSWORD may hold it.",
    ),
    (r'role ".*" does not exist', "Check the user's name, or have one made: createuser NAME."),
    (r'database ".*" does not exist', "Check its name, or create it: createdb NAME."),
    (
        r"permission denied|must be owner of",
        "Its owner can allow it: GRANT CREATE, USAGE ON SCHEMA public TO USER.",
    ),
    (r"resolve host|translate host name|Name or service", "Check the host's name."),
    (r"Connection refused", "Check host and port, and that a PostgreSQL server listens there."),
    (
        r"timeout expired|timed out|No route to host|unreachable",
        "Check host and port, and whether a firewall lies between.",
    ),
    (
        r"invalid response to|expected authentication request|lost synchronization"
        r"|received invalid|connection to server.*closed the connection unexpectedly",
        "Check the port: what answers there seems to be no PostgreSQL server.",
    ),
    (
        r"closed the connection unexpectedly|terminating connection|connection is closed",
        "The server went away: run the same command again once it is back.",
    ),
    (r"no pg_hba\.conf entry", "Let this machine and user in, in the server's pg_hba.conf."),
    (
        r"too many (clients|connections)|connection slots",
        "Raise the server's max_connections (four for each worker), or run fewer workers.",
    ),
    (r"is starting up|is shutting down|in recovery", "Try again in a moment."),
    (r"read-only transaction|readonly database", "Name a store that can be written to."),
    (
        r"No space left|disk is full|disk full|disk I/O error|could not extend",
        "Make room on its disk and run the same command again: what is finished is kept.",
    ),
    (
        r"No module named 'psycopg|import of psycopg|no pq wrapper",
        "pip install 'convsearch[postgres]'.",
    ),
    (r"service file|definition of service", "Check ~/.pg_service.conf, or $PGSERVICEFILE."),
    (r"database is locked|lock timeout", "Another process holds its lock: end that one first."),
    (
        r"malformed|not a database|codec can't decode",
        "The file is damaged: `convsearch doctor` says how to save what can be read.",
    ),
    (r"invalid connection option", "Check what follows the ? of the URL."),
)
"""Advice by patterns of drivers' messages. Messages of a server in another language get none:
PostgreSQL has no error code before a session is open."""


def explain_store_error(error: BaseException) -> str:
    """Return the message of a database or its driver, and advice, in one line."""
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    message = re.sub(r"\.?$", ".", hide_passwords(driver_message(error)))
    advice = (advice for pattern, advice in ADVICE if re.search(pattern, str(_original(error))))
    return f"{message} {next(advice, '')}".strip()


def driver_message(error: BaseException) -> str:
    """Return the first line of the driver's message, without SQLAlchemy's additions."""
    lines = str(_original(error)).strip().splitlines()
    return lines[0][:MAX_MESSAGE] if lines else type(_original(error)).__name__


def is_store_error(error: BaseException) -> bool:
    """Whether an error came from a database, so that `explain_store_error` can explain it."""
    return isinstance(error, SQLAlchemyError | StorageInternalError)


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
