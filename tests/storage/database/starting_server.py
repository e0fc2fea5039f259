"""A port of a PostgreSQL server that refuses connections, as while it starts.

Run as `starting_server.py PORT MESSAGE`, a process of its own because libpq's ping holds the
interpreter. It prints its port, and then a line for each refused connection. After a line on
standard input it lets connections through to PORT.
"""

import socket
import struct
import sys
import threading
from contextlib import suppress

SSL_REQUEST = 80877103


def main() -> None:
    port, message = int(sys.argv[1]), sys.argv[2]
    is_ready = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), is_ready.set()), daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        if is_ready.is_set():
            real = socket.create_connection(("127.0.0.1", port))
            for pair in ((client, real), (real, client)):
                threading.Thread(target=forward, args=pair, daemon=True).start()
        else:
            with client, suppress(OSError):
                refuse(client, message)
            print("refused", flush=True)


def refuse(client: socket.socket, message: str) -> None:
    while struct.unpack("!I", client.recv(1000)[4:8])[0] == SSL_REQUEST:
        client.sendall(b"N")
    fields = ["SFATAL", "VFATAL", "C57P03", f"M{message}", ""]
    body = b"".join(field.encode() + b"\0" for field in fields)
    client.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)


def forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
