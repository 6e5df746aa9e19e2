"""A Compose project of six replicas of the shop behind a proxy, which a tool deploys: the lab only watches it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lab.backends.peer import HEALTHY_WITHIN, Peer
from lab.cluster.bring_up import write_files
from lab.cluster.commands import environment
from lab.cluster.tear_down import tear_down
from lab.machine.labels import Identity
from lab.machine.setup import Toolbox
from tests.building import build_image

WAYS_FILE = Path(__file__).with_name("ways.py")
PROXIES = ("nginx", "haproxy", "caddy")

NGINX = (Path(__file__).parents[2] / "compose" / "peer_nginx.conf").read_text()
PLAIN_NGINX = NGINX.replace("proxy_next_upstream error timeout non_idempotent;", "proxy_next_upstream off;")
"""An nginx that repeats nothing, as most are."""
HAPROXY = """
global
  maxconn 4096
defaults
  mode http
  timeout connect 250ms
  timeout client 75s
  timeout server 2s
  retries 3
  option redispatch 1
resolvers docker
  nameserver dns 127.0.0.11:53
  hold valid 1s
  hold nx 1s
  hold obsolete 1s
  resolve_retries 1
  timeout resolve 250ms
  timeout retry 250ms
frontend users
  bind :8080
  default_backend app
backend app
  option httpchk GET /readyz
  server-template app 12 app:8000 check inter 1s resolvers docker init-addr libc,none
"""
"""HAProxy finds replicas by Docker's DNS, asks each whether it is ready, and tries another where it can't connect."""
CADDY = """
{
  admin off
  auto_https off
}
:8080 {
  reverse_proxy app:8000 {
    lb_try_duration 2s
    lb_try_interval 100ms
    transport http {
      dial_timeout 250ms
      response_header_timeout 2s
    }
  }
}
"""
"""Caddy asks Docker's DNS for each connection, and tries again for two seconds where it can't connect."""
CONFIGS: Mapping[str, str] = {"nginx": NGINX, "plain nginx": PLAIN_NGINX, "haproxy": HAPROXY, "caddy": CADDY}
COMMANDS: Mapping[str, str] = {
    "haproxy": '["haproxy", "-f", "/run/lab/proxy.conf"]',
    "caddy": '["caddy", "run", "--adapter", "caddyfile", "--config", "/run/lab/proxy.conf"]',
}


APP_IMAGE = "image: ${LAB_APP_IMAGE:?}"
NAMED = '["sh", "-c", "LAB_REPLICA=$$(hostname) exec python3 -m shop"]'
"""Each replica says which it is; Compose could give all of them but one name."""
KEPT = "lab.role: app"
OFFERED = f'{KEPT}, lab.may-be-struck: "true"'
"""What the app's containers bear where their owner lets them be struck."""


class Yard(Peer):
    """The project, and the variables by which its compose file is understood."""

    def __init__(
        self, toolbox: Toolbox, identity: Identity, proxy: str, folder: Path, *, may_be_struck: bool = False
    ) -> None:
        super().__init__(toolbox, identity)
        self.proxy = proxy
        self._file = self._compose_file(folder, OFFERED if may_be_struck else KEPT)

    @property
    def address_url(self) -> str:
        host, port = self.address()
        return f"http://{host}:{port}"

    def variables(self, image: str) -> dict[str, str]:
        """For a command that deploys this image."""
        plan = self.plan(image)
        return {
            **environment(plan),
            "COMPOSE": msgspec.json.encode([*self.toolbox.compose, "--file", str(self._file)]).decode(),
            "PROJECT": self.identity.project,
            "REPLICAS": str(self.REPLICAS),
            "HEALTHY_WITHIN": str(HEALTHY_WITHIN),
        }

    def write_files(self, image: str) -> None:
        write_files(self.plan(image), CONFIGS[self.proxy])

    def _compose_file(self, folder: Path, app_role: str) -> Path:
        text = self.toolbox.places.compose_file.with_name("peer.yaml").read_text().replace(KEPT, app_role)
        text = text.replace(APP_IMAGE, f"{APP_IMAGE}\n    command: {NAMED}")
        if self.proxy in COMMANDS:
            image = proxy_image(self.toolbox, self.proxy)
            text = text.replace("image: ${LAB_NGINX_IMAGE:?}", f"image: {image}\n    command: {COMMANDS[self.proxy]}")
            text = text.replace("target: /run/lab/nginx.conf", "target: /run/lab/proxy.conf")
        path = folder / "peer.yaml"
        path.write_text(text)
        return path


def proxy_image(toolbox: Toolbox, proxy: str) -> str:
    """From Debian's packages; built once."""
    tag = f"lab-duel-{proxy}:1"
    recipe = (
        f"FROM {toolbox.images.base_tag}\nUSER root\n"
        f"RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends {proxy} >/dev/null\n"
    )
    build_image(toolbox.engine, tag, recipe=recipe)
    return tag


@contextmanager
def yard(
    toolbox: Toolbox, identity: Identity, proxy: str, image: str, folder: Path, *, may_be_struck: bool = False
) -> Iterator[Yard]:
    """A yard of which all replicas are healthy; gone afterwards."""
    one = Yard(toolbox, identity, proxy, folder, may_be_struck=may_be_struck)
    try:
        one.write_files(image)
        one.compose(image, "up", "--detach", "--wait")
        yield one
    finally:
        tear_down(toolbox.engine, identity.project, folder=one.folder)


def command_for(way: str) -> list[str]:
    """The command that deploys by one way, as a person's script would."""
    return [sys.executable, str(WAYS_FILE), way]


@contextmanager
def variables(given: Mapping[str, str]) -> Iterator[None]:
    """These stand in the environment while the block runs: a watched command inherits it."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
