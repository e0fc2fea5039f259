"""Store URLs: parsed, completed and shown.

The password is kept where SQLAlchemy hides it, so a URL that was parsed here can be printed with
`show_url`; texts of unknown origin go through `hide_passwords`.
"""

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StoreUrlError

KNOWN_KINDS = "sqlite:///FILE, postgres:FOLDER or postgresql://USER@HOST/NAME"
EMBEDDED = "postgres"
"""The driver's name in the URL of a PostgreSQL that convsearch runs itself, in a folder."""
MAX_PATH_PARTS = 2
"""The parts of a path that is shown, such as `../convsearch.db`."""
SECRET_OPTIONS = ("password", "sslpassword")
SQLITE_OPTIONS = ("cached_statements", "timeout")
"""What may follow a `?`, with a number: options of `sqlite3.connect`. Others would open another
file than the path says, or change how transactions begin."""
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///(?P<rest>.*)")


def parse_url(text: str) -> URL:
    """Return the URL of a store, with its driver, and without a password in the query.

    The driver of `postgres:FOLDER` is `postgres`, which SQLAlchemy does not have:
    `storage.database.engine.sqlalchemy_url` returns the URL of its server.

    Raises:
        StoreUrlError: If the text is no URL, or names another kind of database.
    """
    if any(ord(character) < ord(" ") for character in text):
        raise StoreUrlError(
            f"Expected a store URL without line ends and tabs. Received: {hide_passwords(text)!r}"
        )
    if text.startswith("postgres:") and not text.startswith("postgres://"):
        return _parse_folder(text)
    if match := _SQLITE.fullmatch(text):
        return _parse_sqlite(match["rest"])
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _invalid_url_error(text) from None
    kind = url.get_backend_name()
    n_ats = text.partition("?")[0].count("@")
    if "@" in (url.host or "") or n_ats > 1:
        raise _invalid_url_error(text)
    if kind in {"postgresql", "postgres"}:
        return _move_password_from_query(url.set(drivername="postgresql+psycopg"))
    raise StoreUrlError(f"Expected a store URL such as {KNOWN_KINDS}. Received: {show_url(url)}")


def show_url(url: URL) -> str:
    """Return the URL as a user would write it, without its password."""
    if url.drivername == EMBEDDED:
        return f"{EMBEDDED}:{url.database}"
    secrets = {name: "***" for name in SECRET_OPTIONS if name in url.query}
    shown = url.set(drivername=url.get_backend_name()).update_query_dict(secrets)
    return _render(shown, hide_password=True)


def hide_passwords(text: str, url: str | None = None) -> str:
    """Return a text with `***` for the password of each URL in it, also of malformed URLs.

    A port that is no number may be a password whose `@` was forgotten. The password of `url` is
    hidden everywhere, plain or encoded.
    """
    password = str(parse_url(url).password or "") if url is not None else ""
    for secret in filter(None, {quote(password, safe=""), quote_plus(password), password}):
        text = text.replace(secret, "***")
    text = re.sub(r"(://[^\s:/@]*):\S*@", r"\1:***@", text)
    text = re.sub(r"(://(?:\S*@)?[^\s:/@\[]*):(?!\d+\b)[^\s/?@*]+(?=[\s/?]|$)", r"\1:***", text)
    text = re.sub(r"(\b(?:ssl)?password=)('[^']*'|[^\s&'\"]+)", r"\1***", text)
    return re.sub(r"\S*:\S*@", "***@", text) if "://" not in text else text


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite store, or None for a server."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def embedded_folder(url: URL) -> Path | None:
    """Return the folder of an embedded PostgreSQL, or None for another store."""
    if url.drivername != EMBEDDED or url.database is None:
        return None
    return Path(url.database)


def shareable_store_url(text: str, folder: Path) -> str:
    """Return a store's URL for a file in a folder that others may read.

    Its path is relative, or the file's name alone if that is long. For a server, the URL is a
    pattern without user and host.
    """
    url = parse_url(text)
    path = sqlite_path(url) or embedded_folder(url)
    if path is None:
        return "postgresql://USER@HOST/NAME"
    relative = Path(os.path.relpath(path.absolute(), folder.absolute()))
    is_near = relative.parts.count("..") <= 1 and len(relative.parts) <= MAX_PATH_PARTS
    return show_url(url.set(database=relative.as_posix() if is_near else path.name))


def absolute_store_url(text: str) -> str:
    """Return a store's URL with an absolute path, and with its password."""
    url = parse_url(text)
    path = sqlite_path(url)
    if path is not None:
        url = url.set(database=str(path.absolute()))
    return show_url(url) if url.drivername == EMBEDDED else _render(url, hide_password=False)


def _invalid_url_error(text: str) -> StoreUrlError:
    hint = " (write @ : / in a password as %40 %3A %2F)" if text.count("@") > 1 else ""
    return StoreUrlError(
        f"Expected a store URL such as {KNOWN_KINDS}. Received: {hide_passwords(text)}{hint}"
    )


def _parse_sqlite(rest: str) -> URL:
    """Parse what follows `sqlite:///`: a path as it stands, and maybe options that SQLite knows.

    SQLAlchemy would cut a path at its first `?`, and decode `%25` in it.
    """
    path, mark, query = rest.rpartition("?")
    if not mark or "=" not in query or "/" in query:
        path, query = rest, ""
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in SQLITE_OPTIONS or not re.fullmatch(r"[0-9]{1,6}", value):
            known = " or ".join(f"{it}=NUMBER" for it in SQLITE_OPTIONS)
            raise StoreUrlError(
                f"Expected {known} after the ? of sqlite:///{rest}. Received: {name}={value}"
            )
    if path in {"", ":memory:"}:
        raise _invalid_url_error(f"sqlite:///{rest}")
    _check_encoding(path)
    return URL.create("sqlite", database=path, query=options)


def _check_encoding(path: str) -> None:
    """Raise an error if a path is not UTF-8, which databases and documents are in."""
    absolute = os.path.abspath(path)  # noqa: PTH100
    try:
        absolute.encode()
    except UnicodeEncodeError:
        raise StoreUrlError(
            f"Expected a folder for the store whose path is UTF-8. Received: {absolute!a}"
        ) from None


def _render(url: URL, *, hide_password: bool) -> str:
    """Return the URL as `parse_url` reads it: the path of a SQLite file stands as it is."""
    if url.get_backend_name() != "sqlite":
        return url.render_as_string(hide_password)
    options = url.set(database="").render_as_string().partition("?")
    return f"sqlite:///{url.database or ''}{options[1]}{options[2]}"


def _parse_folder(text: str) -> URL:
    name = text.removeprefix("postgres:")
    if not name:
        raise StoreUrlError(f"Expected a folder after postgres:, as in {KNOWN_KINDS}.")
    folder = Path(os.path.expanduser(name)).resolve()  # noqa: PTH111
    _check_encoding(str(folder))
    return URL.create(EMBEDDED, database=str(folder))


def _move_password_from_query(url: URL) -> URL:
    """Move `?password=` to where SQLAlchemy hides it, which needs a user beside it."""
    password, user = url.query.get("password"), url.query.get("user")
    if not isinstance(password, str):
        return url
    url = url.difference_update_query(["password", "user"])
    name = user if isinstance(user, str) else url.username
    return url.set(username=name or "", password=password)
