"""Keeps each user's items in Redis. STOPS says what SIGTERM does: drains, exits, or nothing (shell: it never comes)."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

WORKS_FOR = float(os.environ["WORKS_FOR"])
"""Seconds that a write takes."""
under_way = 0
changed = threading.Condition()


def redis(*words: str) -> list[str]:
    """One command of one connection; the strings that came."""
    with socket.create_connection(("redis", 6379), 2) as connection:
        parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        answer = connection.makefile("rb")
        first = answer.readline().decode().strip()
        if not first:
            raise ConnectionResetError("redis closed without an answer")
        if not first.startswith("*"):
            return [first]
        return [answer.read(int(answer.readline()[1:]) + 2)[:-2].decode() for _ in range(int(first[1:]))]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            redis("PING")
            self.say(200, {})
        else:
            self.say(200, {"items": sorted(redis("SMEMBERS", self.user()))})

    def do_POST(self) -> None:
        global under_way  # noqa: PLW0603 -- the whole app is one file
        with changed:
            under_way += 1
        try:
            said = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if self.path == "/login":
                self.say(200, {}, ("Set-Cookie", f"user={said['user'][0]}; Path=/"))
            else:
                time.sleep(WORKS_FOR)
                redis("SADD", self.user(), said["item"][0])
                self.say(200, {})
        finally:
            with changed:
                under_way -= 1
                changed.notify_all()

    def user(self) -> str:
        return SimpleCookie(self.headers.get("Cookie", ""))["user"].value

    def say(self, status: int, body: dict[str, object], *headers: tuple[str, str]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(text))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def drain(server: ThreadingHTTPServer) -> None:
    """Take nobody in any more, answer what is under way, and end."""
    server.shutdown()
    server.socket.close()
    with changed:
        changed.wait_for(lambda: not under_way)
    os._exit(0)


def main() -> None:
    server = ThreadingHTTPServer(("0.0.0.0", 8000), Handler)  # noqa: S104 -- a container's own network
    if os.environ["STOPS"] == "drains":
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain, args=(server,)).start())
    elif os.environ["STOPS"] == "exits":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
