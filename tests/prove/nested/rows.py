"""The rows of the matrix: how the lab is to an engine, what is done there, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

from lab.errors import LabFault
from tests.prove.nested import registry
from tests.prove.nested.kinds import (
    DOCKER_20,
    DOCKER_26,
    DOCKER_28,
    DOCKER_ROOTLESS,
    LAB_HOME,
    PODMAN_4,
    PODMAN_5,
    PODMAN_ROOTLESS,
    RUNTIME,
    SOCKET,
    dockerd,
)
from tests.prove.nested.nest import Kind, Nest, nest, network
from tests.prove.nested.told import LAB, Bench, Told, examine, must_hold, unpack

CERTS = "/certs"
NOBODY = "http://127.0.0.1:9"
"""A proxy that does not answer: none of the lab's own requests may go through it."""


Row = Callable[[Bench], Told]


def beside(kind: Kind, *more: str, environment: Mapping[str, str] | None = None) -> Row:
    """The engine and the lab in one place, without a network: each run holds."""

    def row(bench: Bench) -> Told:
        with nest(bench.engine, f"prove-{kind.name}", bench.image(kind), kind.argv) as box:
            box.wait_for_engine(kind)
            unpack(box, bench)
            name, impossible = examine(box)
            ran = tuple(
                must_hold(box.run(f"{LAB} {argv}", environment=environment), argv) for argv in ("run demo", *more)
            )
            return Told(engine=name, impossible=impossible, runs=ran)

    return row


def rootless(kind: Kind) -> Row:
    """The same, of an engine that a user without any right started, and whom the lab belongs to, too."""

    def row(bench: Bench) -> Told:
        idle = ("sleep", "infinity")
        with nest(bench.engine, f"prove-{kind.name}", bench.image(kind), idle, devices=ROOTLESS_NEEDS) as box:
            box.must(f"chown -R {kind.user}: {LAB_HOME} && chmod 666 {' '.join(ROOTLESS_NEEDS)}")
            box.must(f"install -d -o {kind.user} -m 700 {RUNTIME}")
            who, told = kind.user, {"XDG_RUNTIME_DIR": RUNTIME, "HOME": LAB_HOME}
            box.must(f"nohup {' '.join(kind.argv)} >{RUNTIME}/engine.log 2>&1 &", user=who, environment=told)
            box.wait_for_engine(kind, log=f"{RUNTIME}/engine.log")
            told["DOCKER_HOST"] = f"unix://{kind.socket}"
            unpack(box, bench, user=who, environment=told)
            name, impossible = examine(box, user=who, environment=told)
            run = box.run(f"{LAB} run demo", user=who, environment=told)
            return Told(engine=name, impossible=impossible, runs=(must_hold(run, "run demo"),))

    return row


ROOTLESS_NEEDS = ("/dev/net/tun",)
"""Devices without which nobody but root makes a network."""


def over_tls(bench: Bench) -> Told:
    """The engine in one container, behind TLS, and the lab in another one, as CI has it."""
    keys = ("--tlsverify", *(f"--tls{one}={CERTS}/{file}" for one, file in _SERVER))
    listens = ("-H", "tcp://0.0.0.0:2376", *keys)
    with ExitStack() as stack:
        net = stack.enter_context(network(bench.engine, "prove-tls"))
        image = bench.image(DOCKER_26)
        server = stack.enter_context(nest(bench.engine, "prove-tls-engine", image, ("sleep", "infinity"), within=net))
        server.must(_MAKE_KEYS)
        server.must(f"nohup {' '.join(dockerd('prove-tls-engine', *listens))} >/var/log/dockerd.log 2>&1 &")
        server.wait_for_engine(DOCKER_26)
        job = stack.enter_context(nest(bench.engine, "prove-tls-job", image, ("sleep", "infinity"), within=net))
        _copy(bench, server, job, CERTS)
        env = f"DOCKER_HOST=tcp://{server.name}:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH={CERTS}"
        job.put(bench.pack)
        job.must(f"cd / && tar xf {bench.pack.name} cluster-lab")
        job.must(f"cd /cluster-lab && {env} make setup LAB_PACK=/{bench.pack.name}")
        refused = job.run(f"cd /cluster-lab && {env} .venv/bin/lab run demo")
        if refused.code != 2 or "--bind" not in refused.text:
            raise LabFault(f"without --bind it ended with {refused.code}: {refused.text[-600:]}", at="prove-tls")
        name, impossible = examine(job, env)
        run = job.run(f"cd /cluster-lab && {env} .venv/bin/lab run demo --bind 0.0.0.0")
        return Told(
            engine=name,
            impossible=impossible,
            runs=("without --bind: refused with 2", must_hold(run, "run demo --bind 0.0.0.0")),
        )


_SERVER = (("cacert", "ca.pem"), ("cert", "server-cert.pem"), ("key", "server-key.pem"))
_MAKE_KEYS = f"""set -e
mkdir -p {CERTS} && cd {CERTS}
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=prove -keyout ca-key.pem -out ca.pem \\
  -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
for one in server client; do
  openssl req -newkey rsa:2048 -nodes -subj /CN=$one -keyout $one-key.pem -out $one.csr 2>/dev/null
  printf 'subjectAltName=DNS:%s,IP:127.0.0.1\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n' \\
    "$(hostname)" >$one.ext
  openssl x509 -req -in $one.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $one.ext \\
    -out $one-cert.pem 2>/dev/null
done
cp client-cert.pem cert.pem; cp client-key.pem key.pem"""


def _copy(bench: Bench, one: Nest, other: Nest, folder: str) -> None:
    stream, _ = bench.engine.get_archive(one.name, folder)
    bench.engine.put_archive(other.name, "/", b"".join(stream))


def with_its_socket(bench: Bench) -> Told:
    """The lab in a container of the engine whose socket is mounted into it: its files are not the engine's.

    Afterwards a job that is killed leaves nothing that the next one does not remove as it starts.
    """
    kind = DOCKER_26
    with nest(bench.engine, "prove-socket", bench.image(kind), dockerd("prove-socket")) as box:
        box.wait_for_engine(kind)
        unpack(box, bench)
        box.must(f"cp -a /cluster-lab /job-files && {_JOB}")
        name, impossible = examine(box)
        inside = "docker exec -w /job job .venv/bin/python -m lab"
        ran = [must_hold(box.run(f"{inside} run demo"), "run demo")]
        box.must(
            f"{inside} run monkey >/job.log 2>&1 & "
            "until docker ps -q --filter label=lab.role=app | grep -q .; do sleep 0.2; done"
        )
        box.must(f"docker kill job && docker rm job && {_JOB}")
        left = box.must(_COUNT).split()
        ran.append(
            must_hold(box.run(f"{inside} run rolling"), f"after a job that was killed ({'/'.join(left)} left), rolling")
        )
        after = box.must(_COUNT).split()
        if after != ["0", "0", "0"]:
            raise LabFault(f"left: {after}, {box.must(_LEFT)}", at="prove-socket")
        return Told(engine=name, impossible=impossible, runs=(*ran, "then nothing is left"))


_JOB = (
    "image=$(docker images cluster-lab/shop --format '{{.Repository}}:{{.Tag}}' | grep :v1-[0-9a-f]*$)"
    " && docker run -d --name job --user 0:0 -e PYTHONPATH=/job -v /job-files:/job"
    f" -v {SOCKET}:{SOCKET} $image sleep infinity"
)
_LEFT = "docker ps -a --filter label=lab.run --format '{{.Names}} {{.Labels}}'"
_COUNT = (
    "docker ps -aq --filter label=lab.run | wc -l; docker network ls -q --filter label=lab.run | wc -l;"
    " docker volume ls -q --filter label=lab.run | wc -l"
)

ROWS: dict[str, Row] = {
    "docker-20.10": beside(DOCKER_20),
    "docker-26": beside(DOCKER_26, "run pinned", "run edge-loss"),
    "docker-28": beside(DOCKER_28, "run monkey", environment={"HTTP_PROXY": NOBODY, "http_proxy": NOBODY}),
    "podman-4": beside(PODMAN_4),
    "podman-5": beside(PODMAN_5),
    "podman-rootless": rootless(PODMAN_ROOTLESS),
    "docker-rootless": rootless(DOCKER_ROOTLESS),
    "dind-tls": over_tls,
    "socket": with_its_socket,
    "offline": beside(DOCKER_26, "lesson dev-check 1"),
    "registry": registry.row,
}
"""By name; each is a container or two of its own."""
