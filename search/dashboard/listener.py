"""The socket that a server listens on, with a hint if its port is in use."""

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from search import defaults
from search.errors import SettingsError

HOST, PORT = defaults.DASHBOARD_HOST, defaults.DASHBOARD_PORT
PORTS_TRIED = 100
WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket that is not served yet, and the requested host."""

    socket: socket.socket
    host: str

    @classmethod
    def open(cls, host: str, port: int, *, port_option: str) -> "Listener":
        """Listen at an address of this machine; port 0 takes any free one.

        `port_option` is the option before a port, for the hint which port is free.

        Raises:
            SettingsError: If the port is in use, or the address is not of this machine.
        """
        try:
            return cls(_listen(host, port), host)
        except (socket.gaierror, UnicodeError):
            raise SettingsError(f"--host: no machine is called {host}.") from None
        except OverflowError:
            raise SettingsError(f"Expected a port from 0 to 65535. Received: {port}") from None
        except PermissionError:
            hint = f": name one above 1023, as {port_option}{PORT}" if port < 1024 else ""
            raise SettingsError(f"This user may not listen on port {port}{hint}.") from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(
                    f"--host: cannot listen at {host}: {error.strerror or error}."
                ) from None
            raise SettingsError(_describe_taken(host, port, port_option)) from None

    @classmethod
    def open_next_free(cls, host: str, port: int, *, port_option: str) -> "Listener":
        """Listen at the first free port from `port` on; `SettingsError` if none is free."""
        found = _listen_next_free(host, port)
        if found is not None:
            return cls(found, host)
        return cls.open(host, port, port_option=port_option)  # It raises the reason.

    @classmethod
    def inherit(cls, file: int) -> "Listener":
        """Take over a listening socket from the parent; raise `SettingsError` if it is none."""
        try:
            inherited = socket.socket(fileno=file)
            return cls(inherited, inherited.getsockname()[0])
        except (OSError, IndexError, ValueError) as error:
            raise SettingsError(f"--socket: {file} is not a socket: {error}") from None

    @property
    def port(self) -> int:
        """The port, also if port 0 was requested."""
        return int(self.socket.getsockname()[1])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    @property
    def address(self) -> str:
        """The address for other machines, with this one's name if it listens at all addresses."""
        return self._address(socket.gethostname() if self.host in WILDCARD_HOSTS else self.host)

    @property
    def local_address(self) -> str:
        """The address for a browser on this machine."""
        return self._address(WILDCARD_HOSTS.get(self.host, self.host))

    @property
    def numeric_address(self) -> str | None:
        """The address with an IP address, since other machines may not resolve the name.

        None if it does not listen at all addresses, or this machine is on no network.
        """
        if self.host not in WILDCARD_HOSTS:
            return None
        family, somewhere = (
            (socket.AF_INET6, "2001:db8::1") if ":" in self.host else (socket.AF_INET, "192.0.2.1")
        )
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:  # Nothing is sent.
                probe.connect((somewhere, 9))
                return self._address(probe.getsockname()[0])
        except OSError:
            return None

    def _address(self, host: str) -> str:
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()  # At once: two sockets may be bound to one port until one listens.
    except BaseException:
        listener.close()
        raise
    return listener


def _listen_next_free(host: str, port: int) -> socket.socket | None:
    for candidate in range(port, min(port + PORTS_TRIED, 65_536)):
        try:
            return _listen(host, candidate)
        except UnicodeError:
            return None
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                return None
    return None


def _describe_taken(host: str, port: int, port_option: str) -> str:
    found = _listen_next_free(host, port + 1)
    if found is None:
        return f"Port {port} is taken, and so are those after it. Name another one."
    with found:
        return f"Port {port} is taken: `{port_option}{found.getsockname()[1]}` is free."
