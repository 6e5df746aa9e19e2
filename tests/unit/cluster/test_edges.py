"""The compose file's own balancer, once more for each zone."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab.cluster.edges import Edge, edges_file

COMPOSE = Path(__file__).resolve().parents[3] / "compose" / "cluster.yaml"


def test_each_edge_is_the_balancer_with_ports_and_a_zone_of_its_own() -> None:
    """All that hardens the first one holds for the others; what is published is on loopback alone."""
    text = COMPOSE.read_text()
    first = yaml.safe_load(text)["services"]["balancer"]
    edges = (Edge(zone="b", port=20001, door=20002), Edge(zone="c", port=20003, door=20004))
    made = yaml.safe_load(edges_file(text, edges))["services"]
    assert list(made) == ["balancer-b", "balancer-c"]
    assert made["balancer-c"]["ports"] == ["127.0.0.1:20003:8080", "127.0.0.1:20004:8081"]
    assert made["balancer-b"]["labels"]["lab.zone"] == "b"
    for service in made.values():
        assert {**service, "ports": None, "labels": None} == {**first, "ports": None, "labels": None}
        assert {**service["labels"], "lab.zone": None} == {**first["labels"], "lab.zone": None}
