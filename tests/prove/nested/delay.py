"""A registry that takes its time: `python3 delay.py SECONDS LISTEN ASK` waits before each connection goes on."""

import socket
import sys
import threading
import time


def pump(source: socket.socket, to: socket.socket) -> None:
    """All that one says, to the other."""
    while chunk := source.recv(65536):
        to.sendall(chunk)
    to.shutdown(socket.SHUT_WR)


def talk(user: socket.socket, seconds: float, port: int) -> None:
    """One connection, to its end."""
    time.sleep(seconds)
    with socket.create_connection(("127.0.0.1", port)) as registry:
        threading.Thread(target=pump, args=(registry, user), daemon=True).start()
        pump(user, registry)


if __name__ == "__main__":
    wait, listen, ask = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with socket.create_server(("127.0.0.1", listen)) as listener:
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0], wait, ask), daemon=True).start()
