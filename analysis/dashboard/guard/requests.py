"""A request as the guard reads it.

The guard and the application must read a path in the same way, so an ambiguous address is
refused: Bottle, for instance, drops bytes that are not UTF-8.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analysis.dashboard.guard.error_pages import HttpError
from analysis.dashboard.guard.permissions import SAFE

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:@/\[\]]+)(?::(\d{1,5}))?", re.ASCII)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class Request:
    """A request; its path is decoded and begins with one slash."""

    environ: "WSGIEnvironment"
    path: str

    @classmethod
    def read(cls, environ: "WSGIEnvironment") -> "Request":
        """Read a request; raise an `HttpError` if its address or its framing is ambiguous."""
        if "HTTP_TRANSFER_ENCODING" in environ:  # A server that supports it removes it.
            raise HttpError(400, "This transfer encoding is not supported.")
        if not re.fullmatch(r"\d{0,15}", environ.get("CONTENT_LENGTH") or "", re.ASCII):
            raise HttpError(400, "The length of this request is not a number.")
        return cls(environ, _read_path(environ.get("PATH_INFO", "")))

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def is_safe(self) -> bool:
        """Whether the method only reads."""
        return self.method in SAFE

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path, without trailing slashes, which the application drops too."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def is_api(self) -> bool:
        """Whether the response is read as JSON."""
        return self.segments[0] == "api"

    @property
    def is_https(self) -> bool:
        """Whether the browser reached this server, or the proxy before it, by HTTPS."""
        proto = self.environ.get("HTTP_X_FORWARDED_PROTO", "").strip().lower()
        return proto == "https" or self.environ.get("wsgi.url_scheme") == "https"

    @property
    def n_body_bytes(self) -> int:
        """The length of the body."""
        return int(self.environ.get("CONTENT_LENGTH") or 0)

    @property
    def address(self) -> str:
        """The client: an IPv4 address, or the /64 network of an IPv6 address."""
        return client_network(str(self.environ.get("REMOTE_ADDR") or ""))

    @property
    def host(self) -> str | None:
        """The name in `Host`, in lower case and without its port; None if it is not valid."""
        found = _HOST.fullmatch(self.environ.get("HTTP_HOST", ""))
        return None if found is None else found[1].lower()

    def names_any_of(self, hosts: frozenset[str]) -> bool:
        """Whether `Host` names the loopback or one of `hosts`."""
        name = self.host
        if name is None:
            return False
        address = _address_of(name.strip("[]"))
        is_loopback = name == "localhost" or (address is not None and address.is_loopback)
        return is_loopback or name in hosts

    @property
    def is_embedded(self) -> bool:
        """Whether another site's page requests it as a part of its own, such as an image.

        Following a link is not embedding. Browsers send these headers to HTTPS and loopback only.
        """
        site = self.environ.get("HTTP_SEC_FETCH_SITE", "none")
        is_link = self.environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        is_whole = self.environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
        return site not in {"same-origin", "none"} and not (is_link and is_whole)

    @property
    def is_same_origin(self) -> bool:
        """Whether it comes from a page of this dashboard, or not from a browser.

        Browsers send `Origin` with changes, and `Sec-Fetch-Site` only to HTTPS and the loopback.
        """
        site = self.environ.get("HTTP_SEC_FETCH_SITE")
        origin = self.environ.get("HTTP_ORIGIN")
        if site is not None and site not in {"same-origin", "none"}:
            return False
        if origin is None:
            return True
        return _host_and_port(origin) == self._own_host_and_port(origin)

    def _own_host_and_port(self, origin: str) -> tuple[str, str] | None:
        """Return `Host` as name and port; the default port is that of the origin's scheme."""
        found = _HOST.fullmatch(self.environ.get("HTTP_HOST", ""))
        if found is None:
            return None
        return found[1].lower(), found[2] or _DEFAULT_PORTS.get(origin.partition(":")[0], "")


def client_network(address: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 address its /64 network."""
    found = _address_of(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address):  # A machine may use all addresses of its network.
        return str(IPv6Address(int(found) >> 64 << 64))
    return address if found is None else str(found)


def _read_path(text: str) -> str:
    """Decode a WSGI path: bytes of UTF-8, given as Latin-1 characters."""
    try:
        path = text.encode("latin-1").decode()
    except UnicodeError:
        raise HttpError(400, "This address is not UTF-8.") from None
    if (text and not text.startswith("/")) or _FORBIDDEN.search(path):
        raise HttpError(400, "This address does not exist.")
    path = "/" + path.lstrip("/")
    if {".", ".."}.intersection(path.split("/")):
        raise HttpError(400, "The path of an address must not contain `.` or `..`.")
    return path


def _host_and_port(origin: str) -> tuple[str, str] | None:
    """Return the name and the port of an `Origin`; None if it has none, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = "" if parts.port is None else str(parts.port)
    except ValueError:
        return None
    found = _HOST.fullmatch(parts.netloc)
    if found is None or parts.scheme not in _DEFAULT_PORTS:
        return None
    return found[1].lower(), port or _DEFAULT_PORTS[parts.scheme]


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
