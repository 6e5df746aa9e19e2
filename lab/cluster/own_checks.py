"""What the lab refuses of somebody's own compose file: what reaches beyond the cluster, or would prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from lab.cluster.own_app import OwnApp, ServiceRole, brought_up, is_proxy, left_out, named_wrongly, parts_used
from lab.cluster.own_files import profiles_with
from lab.errors import UsageError

DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What Docker gives every container; asking for one of these gives nothing more."""
_RULES_THE_MACHINE = {
    "privileged": "is privileged: it may do anything to this machine",
    "use_api_socket": "reaches the engine: whoever does rules this machine",
    "provider": "is brought up by a program of this machine, which does what it likes",
}
_OF_THE_MACHINE = ("devices", "device_cgroup_rules", "external_links", "gpus")
_SOCKETS = frozenset({"docker.sock", "containerd.sock", "podman.sock", "crio.sock"})
_HOLD_SOCKETS = frozenset({"/", "/run", "/var", "/var/run", "/run/docker", "/run/containerd"})
_PLAIN_DRIVERS = frozenset({"", "bridge", "overlay", "none"})


def check_service(
    config: Mapping[str, Any], app: OwnApp, profiles: Callable[[], Mapping[str, tuple[str, ...]]] = dict
) -> None:
    """Raise UsageError, with file and key path, for what the lab can't or must not bring up.

    `profiles` says to which profiles services belong; it is asked only about one that is not there.
    """
    services: Mapping[str, Any] = config.get("services") or {}
    _check_names(services, app, profiles)
    for name in (app.service, *brought_up(config, app)):
        for key, what, hint in _reaches_out(config, name, services[name], app):
            raise UsageError(f"service {name!r} {what}", at=_at(app, f"services.{name}.{key}"), hint=hint)
    for kind in ("volumes", "networks", "secrets", "configs"):
        for part in _used(config, app, kind):
            one = (config.get(kind) or {}).get(part) or {}
            if one.get("external"):
                raise UsageError(
                    f"{kind[:-1]} {part!r} is external: somebody else's, and no place for an experiment",
                    at=_at(app, f"{kind}.{part}.external"),
                    hint=f"an override file for the lab in which {part!r} is not external",
                )
            if kind == "networks" and one.get("driver", "") not in _PLAIN_DRIVERS:
                raise UsageError(
                    f"network {part!r} is of the driver {one['driver']!r}, which reaches beyond this machine's engine",
                    at=_at(app, f"networks.{part}.driver"),
                    hint="an override file for the lab in which it is a bridge",
                )


def _check_names(
    services: Mapping[str, Any], app: OwnApp, profiles: Callable[[], Mapping[str, tuple[str, ...]]]
) -> None:
    for key, name in (("cluster.service", app.service), *((f"cluster.services.{one}", one) for one in app.services)):
        if name in services:
            continue
        of = profiles().get(name)
        if of:
            raise UsageError(
                f"service {name!r} belongs to the profile {' or '.join(of)}, which is not active",
                at=_at(app, f"services.{name}.profiles"),
                hint=f"{profiles_with(app.compose[0].parent, of[0])} lab run ...   # or that line in .env",
            )
        raise UsageError(
            f"{key}: there is no service {name!r}", at=_at(app), hint=f"one of: {', '.join(services) or 'none'}"
        )
    if app.front is not None and app.front.service not in set(services) - {app.service}:
        others = " | ".join(name for name in services if name != app.service)
        raise UsageError(
            f"there is no service {app.front.service!r} that could stand before {app.service!r}",
            at=_at(app),
            hint=f"front: {{service: {others}, port: 80}}",
        )
    wrong = named_wrongly(app)
    if wrong:
        raise UsageError(
            f"cluster.services.{wrong}: that service is multiplied or stands in front, so it has no other role",
            at=_at(app),
            hint=f"leave {wrong!r} out of services",
        )


def _at(app: OwnApp, key: str = "") -> str:
    return f"{', '.join(map(str, app.compose))}{': ' if key else ''}{key}"


def _used(config: Mapping[str, Any], app: OwnApp, kind: str) -> Iterator[str]:
    """What the services that are brought up use of the file's volumes, networks, secrets or configs."""
    for name in (app.service, *brought_up(config, app)):
        yield from parts_used(config["services"][name], kind)


def _reaches_out(
    config: Mapping[str, Any], name: str, service: Mapping[str, Any], app: OwnApp
) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong and what to do about it, for whatever of a service lies beyond its own container."""
    is_app = name == app.service
    leave = "" if is_app else _leave_out(name, app)
    is_store = app.services.get(name) is ServiceRole.STORE  # the app would not start without it
    without = "an override file for the lab without that key" if is_app or is_store else leave
    yield from _mounts(config, name, service, leave)
    yield from ((key, what, without) for key, what in _RULES_THE_MACHINE.items() if service.get(key))
    for key in ("network_mode", "pid", "ipc", "uts", "userns_mode", "cgroup"):
        whose = str(service.get(key) or "")
        kind, _, other = whose.partition(":")
        if whose == "host" or kind == "container":
            yield key, f"shares this machine's own, or a stranger's ({key}: {whose})", without
        elif kind == "service" and (is_app or other == app.service or other in left_out(config, app)):
            yield key, f"shares that of {other!r} ({key}: {whose}), which replicas can't have or give", without
    for key in _OF_THE_MACHINE:
        if service.get(key):
            yield key, f"asks for {key} of this machine", without
    if (((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}).get("devices"):
        yield "deploy.resources.reservations.devices", "asks for devices of this machine", without
    added = sorted({str(one).upper().removeprefix("CAP_") for one in service.get("cap_add") or ()})
    more = [one for one in added if one not in DEFAULT_CAPABILITIES]
    if more:
        yield "cap_add", f"asks for more than Docker gives every container: {', '.join(more)}", without
    loose = [one for one in service.get("security_opt") or () if "unconfined" in one or "disable" in one]
    if loose:
        yield "security_opt", f"takes its confinement off ({', '.join(loose)})", without
    for number, one in enumerate(service.get("volumes_from") or ()):
        if str(one).startswith("container:"):
            yield f"volumes_from[{number}]", "has the volumes of a stranger's container", without
    for key in ("post_start", "pre_stop"):
        if any(hook.get("privileged") for hook in service.get(key) or ()):
            yield key, "has a privileged hook", without


def _leave_out(name: str, app: OwnApp) -> str:
    """How a scenario says that the lab does not bring up a service beside the app."""
    role = f"cluster: {{services: {{{name}: left_out}}}}"
    return f"{role}, and no front" if app.front is not None and app.front.service == name else role


def _mounts(
    config: Mapping[str, Any], name: str, service: Mapping[str, Any], leave: str
) -> Iterator[tuple[str, str, str]]:
    """Sockets of engines in any mode, and what outlives the cluster and may be written to.

    Of the app the latter is not to be borne either: its replicas would share its owner's data with the lab's users.
    `leave` says how to leave the service out; "" where it is the app.
    """
    volumes = config.get("volumes") or {}
    for number, mount in enumerate(service.get("volumes") or ()):
        key, source = f"volumes[{number}]", str(mount.get("source", ""))
        if mount["type"] == "bind" and _reaches_engine(source):
            proxy = "   # a proxy can read a file in place of the engine's labels" if is_proxy(config, name) else ""
            what = f"reaches the engine through {source!r}: whoever does rules this machine, read-only or not"
            yield key, what, (leave + proxy if leave else "an override file for the lab without that mount")
        options = (volumes.get(source) or {}).get("driver_opts") or {}
        device = str(options.get("device") or "") if options.get("type") != "tmpfs" else ""
        written = source if mount["type"] == "bind" else device if mount["type"] == "volume" else ""
        if not written or mount.get("read_only"):
            continue
        instead = f"give {name!r} a named volume of the cluster's own"
        hint = f"mount it read-only ({written}:...:ro), or {instead}"
        if not leave:
            hint = f"leave the mount out in an override file for the lab, or {instead}"
        yield key, f"may write to {written!r}, which is this machine's and no place for an experiment", hint


def _reaches_engine(source: str) -> bool:
    path = PurePosixPath(source)
    return path.name in _SOCKETS or str(path) in _HOLD_SOCKETS
