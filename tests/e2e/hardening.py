"""How closed a container is, by what the engine says of it."""

from __future__ import annotations

from typing import Any


def breaches(container: dict[str, Any]) -> list[str]:
    """What is open about one container; empty for a closed one."""
    config, host = container["Config"], container["HostConfig"]
    wanted = {
        "runs as 10001:10001": config["User"] == "10001:10001",
        "has no capability": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
        "can't gain privileges": any(opt.startswith("no-new-privileges") for opt in host["SecurityOpt"] or ()),
        "keeps the default seccomp": not any("seccomp" in opt for opt in host["SecurityOpt"] or ()),
        "has a read-only root": host["ReadonlyRootfs"],
        "has a small noexec /tmp": "noexec" in (host["Tmpfs"] or {}).get("/tmp", ""),  # noqa: S108 -- inside it
        "has a memory limit": 0 < host["Memory"] <= 256 * 2**20,
        "has a limit of processes": 0 < (host["PidsLimit"] or 0) <= 64,
        "has a limit of open files": any(one["Name"] == "nofile" for one in host["Ulimits"] or ()),
        "is not privileged": not host["Privileged"],
        "shares no namespace of the host": not any(host[key] == "host" for key in ("PidMode", "IpcMode", "UTSMode"))
        and host["NetworkMode"] != "host",
        "has no devices": not host["Devices"],
        "holds no engine socket": not any("docker.sock" in str(mount) for mount in container["Mounts"]),
        "has an init": host["Init"],
        "is not restarted by the engine": host["RestartPolicy"]["Name"] in {"", "no"},
        "has a health check": bool((config.get("Healthcheck") or {}).get("Test")),
        "has a bounded log": bool(host["LogConfig"]["Config"].get("max-size")),
        "has no secret in its environment": not any("PASSWORD=" in line for line in config["Env"]),
    }
    return [what for what, is_so in wanted.items() if not is_so]
