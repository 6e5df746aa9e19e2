"""The base by pull, from a registry on the engine's own loopback: as it is, slow, refusing, of another processor."""

from __future__ import annotations

from tests.prove.nested.foreign import PROCESSOR
from tests.prove.nested.kinds import REGISTRY, dockerd
from tests.prove.nested.nest import Nest, nest
from tests.prove.nested.told import Bench, Told, check, examine, unpack

PORT, DELAYED = 5000, 5001
IMAGE = "debian:trixie-slim"
BASE = "base=$(cd /cluster-lab && .venv/bin/lab pack --list | head -n 1)"
SETUP = f"{BASE} && docker rmi -f $base {IMAGE} >/dev/null; cd /cluster-lab && .venv/bin/lab setup"
CONFIG = f'version: 0.1\\nstorage: {{filesystem: {{rootdirectory: /registry}}}}\\nhttp: {{addr: "127.0.0.1:{PORT}"}}\\n'
"""Debian's own asks for a password."""
SERVE = f"""printf '{CONFIG}' >/registry.yml; nohup docker-registry serve /registry.yml >/var/log/registry.log 2>&1 &
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", {PORT}))' 2>/dev/null; do sleep 0.2; done"""
OFFER = f"docker tag $base 127.0.0.1:{PORT}/library/{IMAGE} && docker push -q 127.0.0.1:{PORT}/library/{IMAGE}"


def row(bench: Bench) -> Told:
    """A mirror of Docker's own registry, as a company has one. There is no other network."""
    with nest(bench.engine, "prove-registry", bench.image(REGISTRY), REGISTRY.argv) as box:
        _start_engine(box, PORT)
        unpack(box, bench)
        name, impossible = examine(box)
        box.must(SERVE)
        box.must(f"{BASE} && docker save $base -o /base.tar && {OFFER}")
        check(box.run(SETUP), 0, f"pulling {IMAGE}")
        box.must("pkill dockerd; while pgrep dockerd >/dev/null; do sleep 0.2; done; rm -f /var/run/docker.pid")
        _start_engine(box, DELAYED)
        _delay(box, 30)
        check(box.run(SETUP), 2, "apt")
        _delay(box, 0.3)
        check(box.run(SETUP), 0, f"pulling {IMAGE}")
        box.must(f"python3 /foreign.py /base.tar /other.tar && docker load -q -i /other.tar && {BASE} && {OFFER}")
        check(box.run(SETUP), 2, f"for {PROCESSOR}, and this engine's processor is")
        box.must("pkill docker-registry")
        check(box.run(SETUP), 2, "apt")
        runs = (
            "pulled",
            "pulled from a slow one",
            "one slower than the lab's patience, one for another processor and one that refuses: exit 2, as no packages"
            " are reached here either",
        )
        return Told(engine=name, impossible=impossible, runs=runs)


def _start_engine(box: Nest, mirror: int) -> None:
    argv = " ".join(dockerd("prove-registry", f"--registry-mirror=http://127.0.0.1:{mirror}"))
    box.must(f"nohup {argv} >/var/log/dockerd.log 2>&1 &")
    box.wait_for_engine(REGISTRY)


def _delay(box: Nest, seconds: float) -> None:
    box.run("pkill -f '[/]delay.py'")  # by a pattern that its own shell's words do not fit
    box.must(f"nohup python3 /delay.py {seconds} {DELAYED} {PORT} >/dev/null 2>&1 &")
