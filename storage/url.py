"""Store URLs: which kinds there are, how they are completed, how they are shown."""

from pathlib import Path
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StoreUrlError

KNOWN_KINDS = "sqlite:///FILE or postgresql://USER@HOST/NAME"


def parse_url(text: str) -> URL:
    """Gives the SQLAlchemy URL of a store, its driver filled in.

    Raises:
        StoreUrlError: If the text is no URL, or names another kind of database.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise StoreUrlError(
            f"Expected a store URL such as {KNOWN_KINDS}. Received: {_without_password(text)}"
        ) from None
    kind = url.get_backend_name()
    if kind in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database not in {None, "", ":memory:"}:
        return url.set(drivername="sqlite")
    raise StoreUrlError(f"Expected a store URL such as {KNOWN_KINDS}. Received: {show_url(url)}")


def show_url(url: URL) -> str:
    """Gives the URL as it may be printed: without its password."""
    return url.render_as_string(hide_password=True)


def hide_password(text: str, url: str) -> str:
    """Gives a text without the password of a store's URL, as it stands there and as it is."""
    try:
        password = make_url(url).password
    except ArgumentError:
        return text
    if not password:
        return text
    for secret in {quote(password, safe=""), quote_plus(password), str(password)}:
        text = text.replace(secret, "***")
    return text


def sqlite_path(url: URL) -> Path | None:
    """Gives the file of a SQLite store, or None for a server."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def _without_password(text: str) -> str:
    """Cuts what stands before an `@`, which may hold a password in a URL too broken to parse."""
    return "..." + text[text.rindex("@") :] if "@" in text else text
