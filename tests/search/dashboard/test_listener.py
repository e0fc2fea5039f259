"""The address and port on which a server listens, also if a port is busy."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from search.dashboard.listener import HOST, Listener
from search.errors import SettingsError


def test_next_port_is_taken_where_one_is_busy() -> None:
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
        with Listener.open_next_free(HOST, port, port_option="").socket as taken:
            assert taken.getsockname()[1] > port


def test_servers_that_start_at_once_take_a_port_each() -> None:
    with socket.create_server((HOST, 0)) as busy, ThreadPoolExecutor(8) as pool:
        port = busy.getsockname()[1]
        opened = list(
            pool.map(lambda _: Listener.open_next_free(HOST, port, port_option=""), range(16))
        )
    assert len({it.port for it in opened}) == 16
    for it in opened:
        it.socket.close()


@pytest.mark.parametrize("host", ["no.such.invalid", "x" * 300])
def test_invalid_host_is_an_error(host: str) -> None:
    with pytest.raises(SettingsError, match="--host: no machine is called"):
        Listener.open_next_free(host, 8080, port_option="")
