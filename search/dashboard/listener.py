"""Where a server listens: a port of this machine, or what to do where that is taken."""

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address

from search.errors import SettingsError

HOST, PORT = "127.0.0.1", 8080
PORTS_TRIED = 100
WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections, before anybody answers them.

    Attributes:
        socket: It listens.
        host: As it was asked for.
    """

    socket: socket.socket
    host: str

    @classmethod
    def open(cls, host: str, port: int, *, port_option: str) -> "Listener":
        """Listen at an address.

        Args:
            host: A name or an address of this machine.
            port: 0 takes any that is free.
            port_option: What to write before another port, in place of one that is taken.

        Raises:
            SettingsError: If the port is taken, or the address is none of this machine.
        """
        try:
            return cls(_listen(host, port), host)
        except (socket.gaierror, UnicodeError):
            raise SettingsError(f"--host: no machine is called {host}.") from None
        except OverflowError:
            raise SettingsError(f"Expected a port from 0 to 65535. Received: {port}") from None
        except PermissionError:
            raise SettingsError(
                f"Port {port} is not for everybody: name one above 1023, as {port_option}{PORT}."
            ) from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(
                    f"--host: cannot listen at {host}: {error.strerror or error}."
                ) from None
            raise SettingsError(_describe_taken(host, port, port_option)) from None

    @classmethod
    def open_next_free(cls, host: str, port: int, *, port_option: str) -> "Listener":
        """Listen at the first port that is free, from one on.

        Raises:
            SettingsError: If none is.
        """
        for candidate in _candidates(port):
            try:
                return cls(_listen(host, candidate), host)
            except UnicodeError:
                break
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    break
        return cls.open(host, port, port_option=port_option)  # It says why.

    @classmethod
    def inherit(cls, file: int) -> "Listener":
        """Take over a socket that listens, from whoever started this process.

        Raises:
            SettingsError: If it is none.
        """
        try:
            inherited = socket.socket(fileno=file)
            return cls(inherited, inherited.getsockname()[0])
        except (OSError, IndexError) as error:
            raise SettingsError(f"--socket: {file} is no socket: {error}") from None

    @property
    def port(self) -> int:
        """The port, also where any was asked for."""
        return int(self.socket.getsockname()[1])

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    @property
    def address(self) -> str:
        """The address as others write it; of a server at all addresses, by the machine's name."""
        return self._address(socket.gethostname() if self.host in WILDCARD_HOSTS else self.host)

    @property
    def local_address(self) -> str:
        """The address as this machine's browser reaches it."""
        return self._address(WILDCARD_HOSTS.get(self.host, self.host))

    @property
    def numeric_address(self) -> str | None:
        """The address by number, of a server at all addresses: a name may be known to few.

        None for another server, and where this machine is on no network.
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


def _candidates(port: int) -> range:
    return range(port, min(port + PORTS_TRIED, 65_536))


def _next_free(host: str, port: int) -> int | None:
    """Return the first port that is free, from one on."""
    for candidate in _candidates(port):
        try:
            _listen(host, candidate).close()
        except OSError:
            continue
        return candidate
    return None


def _describe_taken(host: str, port: int, port_option: str) -> str:
    free = _next_free(host, port + 1)
    if free is None:
        return f"Port {port} is taken, and so are those after it. Name another one."
    return f"Port {port} is taken: `{port_option}{free}` is free."
