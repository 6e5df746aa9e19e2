"""Whatever scenario can be read renders a configuration that the lab's own nginx takes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.backends.own_app import balancer_settings
from lab.balancer.config import BalancerSettings, render
from lab.errors import LabError
from lab.machine.places import find_places
from lab.machine.setup import make_ready
from lab.model import Slot
from lab.scenario.read import read_scenario
from lab.scenario.spec import ClusterSpec, may_be_empty
from tests.unit.scenario.fuzzing import EXAMPLES, SETTINGS, struct_of

pytestmark = pytest.mark.e2e
LEAST = 15
"""Different configurations that must have come together."""
OWN = {
    "http": {
        "log_in": [{"get": "/"}],
        "act": [{"post": "/", "adds": "{new}"}],
        "state": {"get": "/"},
    }
}
ASK_EACH = 'for conf in /confs/*; do /usr/sbin/nginx -t -q -e /dev/stderr -c "$conf" || echo "refused: $conf"; done'


_READY = st.text("/ab0-._~%?=&;{}$ \"'#\\\n", max_size=12).map("/".__add__)
_SIZES = st.sampled_from(
    ["0", "00", "1", "64k", "8M", "16g", "17g", "99999999999999999999", "1 m", "1m;", "-1", "\u0661m"]
)


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """Scenarios that differ in their clusters; half of them an app of one's own, whose words go into the file."""
    cluster = draw(struct_of(ClusterSpec))
    cluster |= draw(st.fixed_dictionaries({}, optional={"affinity": st.sampled_from(["none", "cookie", "account"])}))
    document: dict[str, Any] = {"lab": 1, "name": "x", "title": "x", "cluster": cluster, "steps": []}
    if draw(st.booleans()):
        cluster |= {"compose": "compose.yaml", "service": "web", "port": draw(st.integers(1, 65_535))}
        cluster |= {"store": "redis", "orders": "redis", "edges": "one"}
        cluster |= {"ready": draw(_READY), "largest_body": draw(_SIZES)}
        document["users"] = OWN
    return document


def test_nginx_takes_whatever_a_scenario_renders(tmp_path: Path) -> None:
    """One container tests all of them, one after another."""
    (tmp_path / "compose.yaml").write_text("services: {web: {image: web}}\n")
    (confs := tmp_path / "confs").mkdir()
    texts: dict[str, None] = {}

    @settings(SETTINGS, max_examples=max(300, EXAMPLES), derandomize=True)
    @given(document=_documents())
    def draw(document: dict[str, Any]) -> None:
        path = tmp_path / "x.yaml"
        path.write_text(yaml.safe_dump(document))
        try:
            scenario = read_scenario(path)
        except LabError:
            return
        texts.setdefault(render(scenario.cluster.slots, balancer_settings(scenario.cluster, may_be_empty(scenario))))

    draw()
    assert len(texts) >= LEAST, f"only {len(texts)} configurations"
    for number, text in enumerate(texts):
        (confs / f"{number:05}.conf").write_text(text)
    toolbox = make_ready(find_places(), lambda _: None, ["nginx"])
    command = ["docker", "run", "--rm", "--network=none", f"--volume={confs}:/confs:ro", "--tmpfs=/tmp"]
    command += [toolbox.images.tag("nginx"), "/bin/bash", "-c", ASK_EACH]
    tmp_path.chmod(0o755)
    confs.chmod(0o755)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


HOSTS = {
    "127.0.0.1:8081": "200",
    "localhost:8081": "200",
    "LOCALHOST": "200",
    "[::1]:8081": "200",
    "-": "200",  # none, as the container's own health check asks
    "evil.example": "421",
    "127.0.0.1.evil.example:8081": "421",
    "evil.example:80": "421",
}
ASK_AS = """
/usr/sbin/nginx -e /dev/stderr -c /confs/nginx.conf
for host in "$@"; do
  exec 3<>/dev/tcp/127.0.0.1/8081
  said="Host: $host\\r\\n"; [ "$host" = - ] && said=""
  printf "GET /_lab/alive HTTP/1.0\\r\\n$said\\r\\n" >&3
  read -r _ status _ <&3; echo "$status"
done
"""


def test_the_labs_own_door_opens_to_no_name_that_somebody_makes_to_mean_this_machine(tmp_path: Path) -> None:
    """A page of evil.example, which its owner lets mean 127.0.0.1 by and by, used to be answered there."""
    (tmp_path / "nginx.conf").write_text(render([Slot(name="a1", zone="a")], BalancerSettings()))
    tmp_path.chmod(0o755)
    toolbox = make_ready(find_places(), lambda _: None, ["nginx"])
    command = ["docker", "run", "--rm", "--network=none", f"--volume={tmp_path}:/confs:ro", "--tmpfs=/tmp"]
    command += [toolbox.images.tag("nginx"), "/bin/bash", "-c", ASK_AS, "ask", *HOSTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == list(HOSTS.values()), done.stderr
