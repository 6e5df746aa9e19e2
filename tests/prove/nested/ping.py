"""Whether an engine answers at a unix socket: `python3 ping.py SOCKET`."""

import socket
import sys

with socket.socket(socket.AF_UNIX) as asked:
    asked.settimeout(5)
    asked.connect(sys.argv[1])
    asked.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
    sys.exit(b" 200 " not in asked.recv(4096))
