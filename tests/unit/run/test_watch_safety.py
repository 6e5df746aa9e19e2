"""Where the load of a watched run may go, and what ends it: each rule is seen to refuse."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends import target
from lab.backends.target import Target
from lab.clock import NS
from lab.errors import ExitCode, UsageError
from lab.record import PhaseBegan, ReadRecord, Trouble
from lab.scenario.read import read_scenario
from lab.scenario.target_spec import TargetSpec, TlsSpec
from tests.unit.run.watched import DEPLOY, WATCHED, Deployment, deployment, watch, written

pytestmark = pytest.mark.slow


@pytest.fixture
def app() -> Iterator[Deployment]:
    with deployment() as app:
        yield app


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and staging.example that trusts itself, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    made = folder / "ca.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:staging.example"),
            *("-keyout", str(folder / "key.pem"), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return made


@pytest.fixture
def secure(certificate: Path) -> Iterator[Deployment]:
    """The app behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with deployment(tls=context) as app:
        yield app


def https(app: Deployment) -> str:
    return app.url.replace("http:", "https:")


# ---------------------------------------------------------------- TLS


def test_users_come_through_tls(secure: Deployment, certificate: Path, tmp_path: Path) -> None:
    """A whole run; the certificates to trust lie beside the scenario. Secure cookies are kept."""
    shutil.copy(certificate, tmp_path / "ca.pem")
    text = WATCHED.replace('["URL"]', f'["{https(secure)}"], tls: {{ca: ca.pem}}')
    deploy = '["curl", "-sk", "URL/deploy"]'.replace("URL", https(secure))
    if shutil.which("curl") is None:
        pytest.skip("curl is not here to deploy over TLS")
    ended = watch(secure, tmp_path, text, deploy=deploy)
    assert ended.code == ExitCode.HELD, ended.lines
    assert ended.judged.judgement.evidence.users_served_by_new == 6


def test_a_certificate_that_nobody_trusts_is_refused(secure: Deployment) -> None:
    """Before any load, with the key that would help."""
    with pytest.raises(UsageError, match="certificate can't be trusted") as raised:
        Target(TargetSpec(urls=(https(secure),))).check()
    assert "tls: {ca: ca.pem}" in raised.value.hint
    assert raised.value.exit_code == ExitCode.USAGE
    assert secure.asked == []


def test_a_certificate_for_another_name_is_refused(secure: Deployment, certificate: Path) -> None:
    """And taken where that is the name that was asked for."""
    trusted = TlsSpec(ca=str(certificate), name="other.example")
    with pytest.raises(UsageError, match="certificate can't be trusted"):
        Target(TargetSpec(urls=(https(secure),), tls=trusted)).check()
    assert secure.asked == []
    Target(TargetSpec(urls=(https(secure),), tls=TlsSpec(ca=str(certificate), name="staging.example"))).check()
    assert len(secure.asked) == 1


def test_what_holds_no_certificates_is_refused(tmp_path: Path) -> None:
    """A file that is none, and one that is not there."""
    (tmp_path / "ca.pem").write_text("no certificate")
    spec = TargetSpec(urls=("https://127.0.0.1:1",), tls=TlsSpec(ca=str(tmp_path / "ca.pem")))
    with pytest.raises(UsageError, match="holds no certificates"):
        Target(spec)
    text = WATCHED.replace('["URL"]', '["https://127.0.0.1:1"], tls: {ca: nowhere.pem}').replace("DEPLOY", "[sh]")
    with pytest.raises(UsageError, match=r"there is no file nowhere\.pem") as raised:
        read_scenario(written(tmp_path, text))
    assert "target.tls.ca" in raised.value.at


def test_plain_http_where_tls_is_meant_is_no_answer(app: Deployment) -> None:
    """Never a traceback."""
    with pytest.raises(UsageError, match="does not answer"):
        Target(TargetSpec(urls=(https(app),))).check()


def test_a_door_that_takes_a_request_and_never_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any user comes."""
    monkeypatch.setattr(target, "ANSWERS_WITHIN", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UsageError, match="does not answer: timed out") as raised:
            Target(TargetSpec(urls=(url,))).check()
    assert raised.value.exit_code == ExitCode.USAGE


# ---------------------------------------------------------------- hosts


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A name of this machine that does not say that it is one."""
    name = socket.gethostname()
    try:
        found = {one[4][0] for one in socket.getaddrinfo(name, 80, family=socket.AF_INET)}
    except OSError:
        found = set()
    if name == "localhost" or not any(str(one).startswith("127.") for one in found):
        pytest.skip("this machine has no name of its own that leads to it")
    yield name


def target_at(app: Deployment, host: str, token_header: str | None = None) -> TargetSpec:
    url = f"http://{host}:{app.server_address[1]}"
    return TargetSpec(urls=(url,), rate=50, allow=(host,), token_header=token_header)


def test_a_host_elsewhere_must_agree(app: Deployment, elsewhere: str) -> None:
    """It gives a token back that is new each time; one that only answers is left alone."""
    Target(target_at(app, elsewhere)).check()
    app.agrees = False
    with pytest.raises(UsageError, match="has not agreed to be watched") as raised:
        Target(target_at(app, elsewhere)).check()
    assert raised.value.exit_code == ExitCode.USAGE
    assert "/.well-known/cluster-lab" in raised.value.hint


def test_a_host_may_agree_by_a_header(app: Deployment, elsewhere: str) -> None:
    """Where it has no page for that; a header that it does not give back is no consent."""
    app.agrees = False
    Target(target_at(app, elsewhere, token_header="X-Token")).check()
    with pytest.raises(UsageError, match="has not agreed to be watched: the header X-Other"):
        Target(target_at(app, elsewhere, token_header="X-Other")).check()


def test_a_host_that_is_not_allowed_is_asked_nothing(app: Deployment, elsewhere: str, tmp_path: Path) -> None:
    """Not even whether it agrees."""
    text = WATCHED.replace("URL", f"http://{elsewhere}:{app.server_address[1]}").replace("DEPLOY", "[sh]")
    with pytest.raises(UsageError, match="sends no load there"):
        read_scenario(written(tmp_path, text.replace("urls:", "rate: 50, urls:")))
    with pytest.raises(UsageError, match="is needed where the doors are not on this machine"):
        read_scenario(written(tmp_path, text.replace("urls:", f"allow: [{elsewhere}], urls:")))
    assert app.asked == []


def test_no_redirect_to_another_host_is_followed(app: Deployment, tmp_path: Path) -> None:
    """Users end what they are doing; the other host is never asked."""
    with deployment() as other:
        app.redirects_to = f"{other.url}/notes"
        ended = watch(app, tmp_path, WATCHED.replace("checks: 6", "checks: 1"))
        assert ended.code != ExitCode.HELD
        assert other.asked == []
    operations = list(ReadRecord(ended.folder).history())
    assert any(one.final.result == "302" for one in operations)


# ---------------------------------------------------------------- what ends it


def test_an_app_that_asks_for_rest_is_left_alone(app: Deployment, tmp_path: Path) -> None:
    """429 with Retry-After: the run stops by itself, and nobody asks anything before that time."""
    app.refuses = {"Retry-After": "1"}
    text = WATCHED.replace("log_in: [{post: /login, ", "log_in: [{get: /}, {post: /login, ")
    ended = watch(app, tmp_path, text)
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    troubles = [one.what for one in ReadRecord(ended.folder).events() if isinstance(one, Trouble)]
    assert any("asked for 1 s of rest (Retry-After)" in one for one in troubles)
    assert app.generation == 1


def test_an_app_that_asks_for_rest_in_the_middle_ends_the_steps(app: Deployment, tmp_path: Path) -> None:
    """The command is not begun; users read back what is theirs after the rest, and nothing is sent during it."""
    deploy = DEPLOY.replace("/deploy')", "/tired'); import time; time.sleep(20)")
    ended = watch(app, tmp_path, WATCHED.replace("users_served_by_new: 6", "users_served_by_new: 0"), deploy=deploy)
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any("(Retry-After)" in reason for reason in ended.judged.judgement.reasons)
    phases = [one.name for one in ReadRecord(ended.folder).events() if isinstance(one, PhaseBegan)]
    assert phases[-3:] == ["settle", "read back", "clean up"]
    assert app.tired_at
    rest = [at for at in app.asked if app.tired_at + NS // 5 < at < app.tired_at + 2 * NS]
    assert rest == []


def test_a_rest_for_long_is_not_waited_for(app: Deployment, tmp_path: Path) -> None:
    """Users do not come back, and that is said."""
    deploy = DEPLOY.replace("/deploy')", "/tired/900'); import time; time.sleep(20)")
    ended = watch(app, tmp_path, deploy=deploy)
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    assert any("users did not come back" in reason for reason in ended.judged.judgement.reasons)


def test_users_who_lose_state_stop_the_run_where_that_is_asked_for(app: Deployment, tmp_path: Path) -> None:
    """stop_when, as of a cluster: no further step; what was seen is judged."""
    text = WATCHED.replace("name: watched", "name: watched\nstop_when: {users_lost: 1}")
    deploy = (
        """[python3, -c, "import urllib.request as u; u.urlopen('URL/deploy/empty'); import time; time.sleep(30)"]"""
    )
    ended = watch(app, tmp_path, text, deploy=deploy)
    assert ended.code == ExitCode.BROKEN, ended.lines
    troubles = [one.what for one in ReadRecord(ended.folder).events() if isinstance(one, Trouble)]
    assert any("stop_when.users_lost" in one for one in troubles)


def test_a_halt_stops_it(app: Deployment, tmp_path: Path) -> None:
    """`lab halt`: the safety lever holds for what is watched, too."""
    halted = iter(["", "", "me, just now"])
    ended = watch(app, tmp_path, WATCHED.replace("for: 0.4", "for: 30"), halted=lambda: next(halted, "me, just now"))
    assert ended.code == ExitCode.COULD_NOT_TELL, ended.lines
    troubles = [one.what for one in ReadRecord(ended.folder).events() if isinstance(one, Trouble)]
    assert any("halted: me, just now" in one for one in troubles)
    assert app.generation == 1
