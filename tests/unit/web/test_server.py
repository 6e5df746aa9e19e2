"""The page's server: for this machine's own browsers, resumable, and deaf to everybody else."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping

import pytest

from lab.errors import SetupError, UsageError
from lab.report.events import Said
from lab.report.html import PageConfig, live_page
from lab.retry import wait_until
from lab.web import Feed, PageServer

TOKEN = "a token of this run"


class Noting:
    """Controls that note what they are told."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, str]]] = []

    def do(self, act: str, what: Mapping[str, str]) -> str:
        if act == "nonsense":
            raise UsageError("no such action")
        self.done.append((act, dict(what)))
        return f"did {act}"


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture
def server(noting: Noting) -> Iterator[PageServer]:
    with PageServer(live_page("a run", PageConfig()), Feed(), controls=noting, token=TOKEN) as server:
        yield server
        server.feed.end()


def said(number: int) -> Said:
    return Said(t=float(number), text=f"thing {number}")


def ask(
    server: PageServer, method: str, path: str, headers: Mapping[str, str] | None = None, body: str = ""
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def ids(body: bytes) -> list[int]:
    return [int(line[4:]) for line in body.decode().splitlines() if line.startswith("id: ")]


def test_the_page_has_a_policy_that_allows_nothing_else(server: PageServer) -> None:
    """Default none, own script and style by hash, events from here; nobody may frame it or read it across sites."""
    answer, body = ask(server, "GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status == 200
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert b"http-equiv" not in body
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.2:{port}", ""])
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/events"), ("POST", "/control/kill")])
def test_a_request_under_another_name_is_refused(server: PageServer, method: str, path: str, host: str) -> None:
    """A name that somebody makes to mean 127.0.0.1 opens nothing: no page, no events, no act."""
    answer, body = ask(server, method, path, {"Host": host.format(port=server.port)})
    assert answer.status == 400
    assert b"<html" not in body


def test_localhost_is_this_machine_too(server: PageServer) -> None:
    """Both of its names work."""
    assert ask(server, "GET", "/", {"Host": f"localhost:{server.port}"})[0].status == 200
    assert ask(server, "GET", "/elsewhere")[0].status == 404


def test_a_stream_ends_when_the_run_has(server: PageServer) -> None:
    """All events with their numbers, then the word that there are no more."""
    server.feed.add([said(0), said(1)])
    server.feed.end()
    answer, body = ask(server, "GET", "/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert ids(body) == [0, 1]
    assert body.endswith(b"event: end\ndata: {}\n\n")


@pytest.mark.parametrize(
    ("last", "rest"), [("3", [4, 5]), ("5", []), ("", [0, 1, 2, 3, 4, 5]), ("x", [0, 1, 2, 3, 4, 5])]
)
def test_a_stream_goes_on_where_it_was_cut(server: PageServer, last: str, rest: list[int]) -> None:
    """A browser that comes back gets what it has not got, once."""
    server.feed.add([said(number) for number in range(6)])
    server.feed.end()
    headers = {"Last-Event-ID": last} if last else {}
    assert ids(ask(server, "GET", "/events", headers)[1]) == rest


def test_what_happens_while_somebody_looks_is_sent_at_once(server: PageServer) -> None:
    """No reader waits for the end, and the end waits until readers have all."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    server.feed.add([said(0)])
    assert answer.fp.readline() == b"retry: 500\n"
    lines = [answer.fp.readline() for _ in range(3)]
    assert lines[1] == b"id: 0\n"
    assert not server.wait_sent(0.0)
    server.feed.end()
    answer.read()
    connection.close()
    assert server.wait_sent(5.0)


GOOD = {"Content-Type": "application/json", "X-Lab-Token": TOKEN}


def act(
    server: PageServer, path: str = "/control/kill", body: str = '{"slot": "a1"}', **changed: str
) -> tuple[int, str]:
    headers = {**GOOD, "Origin": server.url, **{name.replace("_", "-"): value for name, value in changed.items()}}
    answer, said_ = ask(server, "POST", path, {name: value for name, value in headers.items() if value}, body)
    return answer.status, json.loads(said_)["said"]


def test_the_page_itself_may_act(server: PageServer, noting: Noting) -> None:
    """With its token and from its own origin."""
    assert act(server) == (200, "did kill")
    assert noting.done == [("kill", {"slot": "a1"})]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"X_Lab_Token": ""}, 403),
        ({"X_Lab_Token": "guessed"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"path": "/control/nonsense"}, 409),
        ({"path": "/kill"}, 404),
        ({"body": "not json"}, 400),
        ({"body": '{"slot": {"deep": 1}}'}, 400),
        ({"body": f'{{"slot": "{"x" * 5000}"}}'}, 413),
    ],
)
def test_nobody_else_may_act(server: PageServer, noting: Noting, changed: dict[str, str], status: int) -> None:
    """Without the token, from another site, or with nonsense, nothing is done."""
    assert act(server, **changed)[0] == status
    assert noting.done == []


def test_without_controls_there_is_nothing_to_act_with() -> None:
    """Read-only is what a page is unless it is asked otherwise, and no token opens it."""
    with PageServer(live_page("a run", PageConfig()), Feed(), token=TOKEN) as server:
        assert act(server)[0] == 404
        server.feed.end()


def test_too_many_pages_are_refused_and_make_room_again(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are counted: one too many is told so."""
    monkeypatch.setattr("lab.web.server.MOST_STREAMS", 1)
    assert server.join_streams()
    assert ask(server, "GET", "/events")[0].status == 503
    server.leave_streams()
    server.feed.end()
    assert ask(server, "GET", "/events")[0].status == 200


def test_a_taken_port_is_told_plainly(server: PageServer) -> None:
    """With the way out."""
    with pytest.raises(SetupError, match="port") as raised:
        PageServer(live_page("a run", PageConfig()), Feed(), port=server.port)
    assert raised.value.hint


def test_readers_wake_up_for_what_is_new() -> None:
    """A reader that waits gets the next event as soon as it is there."""
    feed, got = Feed(), list[int]()
    reader = threading.Thread(target=lambda: got.append(len(feed.after(0, wait=5)[0])))
    reader.start()
    feed.add([said(0)])
    reader.join(5)
    assert got == [1]
    assert feed.after(1, wait=0) == ([], False)


def raw(server: PageServer, request: str) -> bytes:
    """What it answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("name", ["Host", "Origin", "X-Lab-Token", "Content-Length"])
def test_what_is_decided_by_may_not_be_said_twice(server: PageServer, noting: Noting, name: str) -> None:
    """A second Host after a good one used to be read by nobody; a proxy might have read that one alone."""
    good = {
        "Host": f"127.0.0.1:{server.port}",
        "Origin": server.url,
        "X-Lab-Token": TOKEN,
        "Content-Length": "2",
    }
    lines = [f"{key}: {value}" for key, value in good.items()]
    request = "POST /control/kill HTTP/1.1\r\n" + "\r\n".join(lines)
    assert b" 200 " in raw(server, f"{request}\r\n\r\n{{}}")
    assert b" 400 " in raw(server, f"{request}\r\n{name}: {good[name]}\r\n\r\n{{}}")
    assert b" 400 " in raw(server, f"{request}\r\n{name}: evil.example\r\n\r\n{{}}")
    assert len(noting.done) == 1


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1", "+1", "1_0", " ", "0x1"])
def test_numbers_are_bounded_and_ascii(server: PageServer, capfd: pytest.CaptureFixture[str], number: str) -> None:
    """Python takes more for digits than a header may hold, and int() refuses what isdigit() took."""
    host = f"Host: 127.0.0.1:{server.port}"
    body = f"POST /control/kill HTTP/1.1\r\n{host}\r\nOrigin: {server.url}\r\nX-Lab-Token: {TOKEN}"
    assert b" 413 " in raw(server, f"{body}\r\nContent-Length: {number}\r\n\r\n{{}}")
    server.feed.add([said(1)])
    server.feed.end()
    told = raw(server, f"GET /events HTTP/1.1\r\n{host}\r\nLast-Event-ID: {number}\r\n\r\n")
    assert ids(told) == [0], "from the first on"
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_connection_that_is_reset_prints_nothing(server: PageServer, capfd: pytest.CaptureFixture[str]) -> None:
    """464 tracebacks once stood in a run's terminal."""
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode())
        connection.close()  # with a reset, in the middle of the head
    assert ask(server, "GET", "/")[0].status == 200
    assert capfd.readouterr().err == ""


def test_a_fault_of_its_own_is_still_told(server: PageServer, capfd: pytest.CaptureFixture[str]) -> None:
    """Only what browsers do is nobody's business."""
    server.page = None  # type: ignore[assignment]
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "GET", "/")
    wait_until("it is told", lambda: "AttributeError" in capfd.readouterr().err, within=5)
