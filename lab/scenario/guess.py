"""What a compose file says of somebody's app, and how it says so: pure, and a guess is called one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lab.cluster.own_app import base_name, image_of, is_proxy, jobs_of
from lab.errors import UsageError
from lab.model import Value
from lab.scenario.known_images import STORE_NAMES, STORE_PORTS, STORES, TOOLS

_IS_REACHED = "the only one that users reach"
_NEEDS_A_STORE = "the only one that needs a store"
"""It may speak against another, as of a front end that users reach; of two services behind one it says too little."""
USUAL_PORT, USUAL_PATH = 8000, "/healthz"


_WORKS = re.compile(
    r"\b(celery|sidekiq|resque|rq|dramatiq|huey|arq|bullmq|horizon|queue:work|schedule:(run|work)|delayed_job|good_job"
    r"|solid_queue|worker|workers|beat|cron|crond|supercronic|consumer)\b"
)
_WORKER_NAME = re.compile(
    r"(^|[-_])(worker|workers|beat|cron|scheduler|consumer|etl|sidekiq|queue|jobs?|daemon|bot)\d*($|[-_])"
)
_JOB_NAME = re.compile(r"(^|[-_])(migrate|migrations?|migrator|init|setup|seed|seeder|bootstrap|createbuckets)($|[-_])")
_PROXY_NAME = re.compile(
    r"(^|[-_])(proxy|nginx|caddy|traefik|haproxy|gateway|ingress|lb|loadbalancer|balancer|router|httpd|front-?door)($|[-_])"
)
_ITSELF = r"localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|\$+(?:\{?HOSTNAME\}?|\(hostname[^)]*\))"
_URL_OF = (
    r"(?:(?P<scheme>https?)://(?:{itself}|{names})(?![\w.-])|(?<![\w./@:-])(?:{itself})(?=[:/]))"
    r"(?P<port>:(?:\$+\{{[^}}\s]*\}}|[^/\s'\"`|;&)])*)?(?P<path>/[^\s'\"`|;&)]*)?"
)
"""What a health check asks for of its own container: with a scheme, or as curl takes it, without one."""
_VARIABLE = re.compile(r"\$+\{?(?:process\.env\.)?(?P<name>[A-Za-z_]\w*)(?::?-(?P<default>\d+))?\}?")
_KNOCKS = re.compile(rf"(?:/dev/tcp/(?:{_ITSELF})/|\bnc\s(?:-\S+\s+(?:\d+\s+)?)*(?:{_ITSELF})\s+)(?P<port>\d+)")
"""How a health check sees that somebody listens, and no more."""
_LISTENS = re.compile(
    r"(?:^|\s)(?:--[\w.-]*port(?:=|\s+)|-p(?:=|\s*)|(?:\S*=)?(?:0\.0\.0\.0|\[::\]|\*)?:)(?P<port>\d{2,5})(?=\s|$)"
)
"""How a command says where its server listens: "--port 80", "-p 80", "--bind=0.0.0.0:80", ":80"."""
_INSPECTS = re.compile(r"--inspect\S*")
_FASTCGI = re.compile(r"(?<!nginx-php-)\bfpm(?![a-z])")
"""In the name of an image that speaks it, or in a command."""
_PHP = re.compile(r"php|fpm")
_TRAEFIK_PORT = re.compile(r"traefik\.(?:http\.services\.[^.]+\.loadbalancer\.server\.|(?:[\w-]+\.)?)port")
_TRAEFIK_PATH = re.compile(r"traefik\.http\.services\.[^.]+\.loadbalancer\.healthcheck\.path")
_TRAEFIK_RULE = re.compile(r"traefik\.(http\.routers\.|(?:[\w-]+\.)?frontend\.rule)")
_MSSQL = re.compile(r"(^|/)mssql/server(:|@|$)")
_DEBUGGERS = frozenset({9222, 9229, 9230, 9231, 5678, 5005, 9003})
_NEVER_HTTP = frozenset({21, 22, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1883, 3478, 4190, 9229, 9230, 9231})
"""Of shells, mail, names and the like, and of one debugger."""
_NOT_FOR_USERS = _NEVER_HTTP | _DEBUGGERS | {1025, 2222, 2525, 9000, 35729, 24678}
"""Those, debuggers, FastCGI and live reloads: the last that one thinks of, as of TLS."""


class Guess(Value):
    """What was taken, and why."""

    value: str
    why: str
    is_sure: bool = True


class Guesses(Value):
    """All that `lab init` writes of a compose file."""

    service: Guess
    port: Guess
    ready: Guess
    front: tuple[str, int] | None = None
    stores: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()


def guess(config: Mapping[str, Any], service: str | None, image: Mapping[str, Any] | None = None) -> Guesses:
    """What the files say. Raises UsageError, with every service that it could be, rather than choose between two.

    `image` is what the engine says of the app's image, where it has it.
    """
    chosen = Guess(value=service, why="as you said") if service else choose_service(config)
    name = chosen.value
    told, looked = config["services"][name], image or {}
    stores = tuple(one for one in config["services"] if one != name and _is_store(config, one))
    workers = tuple(one for one in config["services"] if one != name and _is_worker(config, one))
    return Guesses(
        service=chosen,
        port=guess_port(name, told, looked),
        ready=guess_ready(name, told, looked),
        front=guess_front(config, name),
        stores=stores,
        workers=tuple(one for one in workers if one not in stores),
    )


def choose_service(config: Mapping[str, Any]) -> Guess:
    """The app. Raises UsageError where the files leave it open, or say one thing here and another there."""
    services = config.get("services") or {}
    may_be = [name for name in services if what_else(config, name) == ""]
    others = f"the others are {_others(config, may_be)}" if len(services) > len(may_be) else "there is no other"
    if len(may_be) == 1:
        return Guess(value=may_be[0], why=f"the only one that can be the app: {others}")
    if not may_be:
        apart = [name for name in services if what_else(config, name) == "a tool"]
        if len(apart) == 1 and len(services) == 1:
            return Guess(value=apart[0], why="the only service", is_sure=False)
        raise _ask(list(services), "none of the services looks like an app")
    rules = {
        "what stands in front depends on it": _behind_fronts(config, may_be),
        "the only one that is built here": [name for name in may_be if services[name].get("build")],
        _IS_REACHED: [name for name in may_be if _is_reached(services[name])],
        _NEEDS_A_STORE: [name for name in may_be if _needs_a_store(config, name)],
    }
    said = {why: found[0] for why, found in rules.items() if len(found) == 1}
    if said.keys() == {_NEEDS_A_STORE}:
        said.clear()
    against = _against_the_reached(config, said[_IS_REACHED], may_be) if said.keys() == {_IS_REACHED} else ""
    if against:
        raise _ask(may_be, f"nothing says for sure which service is the app: {against}")
    if len(set(said.values())) == 1:
        return Guess(value=next(iter(said.values())), why=" and ".join(said))
    if not said:
        raise _ask(may_be, "nothing says which service is the app")
    both = "; ".join(f"{name}: {why}" for why, name in said.items())
    raise _ask(may_be, f"the files say two things of which service is the app: {both}")


def what_else(config: Mapping[str, Any], name: str) -> str:
    """What a service is that is not the app; "" where it may be the app."""
    if _is_front(config, name):
        return "a proxy"
    if _is_store(config, name):
        return "a store"
    if base_name(image_of(config, name)) in TOOLS and not config["services"][name].get("build"):
        return "a tool"
    if name in jobs_of(config) or (_JOB_NAME.search(name) and not config["services"][name].get("ports")):
        return "a job that ends"
    return "a worker" if _is_worker(config, name) else ""


class _Asked(Value):
    """What a health check asks for by HTTP."""

    port: int | None
    """None where it depends on what only the container knows."""
    path: str
    is_plain: bool = True
    """Not by TLS."""


def guess_port(name: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> Guess:
    """Where it listens, inside its container."""
    asked = _asks_users_port(name, told, image)
    for one in asked:
        if one.port is not None and one.is_plain:
            return Guess(value=str(one.port), why="its health check asks there")
    for label, value in _labels(told):
        if _TRAEFIK_PORT.fullmatch(label) and value.isdigit():
            return Guess(value=value, why=f"the label {label}")
    for variable in ("VIRTUAL_PORT", "PORT", "HTTP_PORT", "SERVER_PORT"):
        value = str((told.get("environment") or {}).get(variable) or "")
        if value.isdigit():
            return Guess(value=value, why=f"its variable {variable}", is_sure=variable == "VIRTUAL_PORT")
    published = _for_users([int(one["target"]) for one in told.get("ports") or () if one.get("protocol") != "udp"])
    exposed = _for_users([int(found[1]) for one in told.get("expose") or () if (found := _exposed(str(one)))])
    in_image = _for_users([int(found[1]) for one in image.get("ExposedPorts") or () if (found := _exposed(str(one)))])
    listens = [port for port in _listens(told) if not exposed + published or port in exposed + published]
    by_tls = {one.port: "TLS" for one in asked if one.port is not None and not one.is_plain}
    for ports, why in (
        (listens[:1], "its command says so"),
        (exposed, "it exposes it"),
        (published, "it publishes it"),
        (in_image, "its image exposes it"),
        (list(by_tls), "its health check asks there"),
    ):
        if ports:
            may_be_php = ports != published or bool(_PHP.search(f"{name} {told.get('image')} {_words_of(told)}"))
            spoken = by_tls.get(ports[0]) or _spoken(ports[0], may_be_php=may_be_php) if len(ports) == 1 else ""
            more = f", and {', '.join(map(str, ports[1:]))}" if len(ports) > 1 else ""
            more += f"; {spoken} would not do, the lab asks by HTTP" if spoken else ""
            is_sure = len(ports) == 1 and not spoken and ports[0] not in _NOT_FOR_USERS
            return Guess(value=str(ports[0]), why=f"{why}{more}", is_sure=is_sure)
    return _port_by_custom(name, told, image)


def _port_by_custom(name: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> Guess:
    """Where it may listen, if no port is named for users: a guess whatever it is."""
    for port in _knocks(told, image):
        return Guess(value=str(port), why="its health check knocks there", is_sure=False)
    if _FASTCGI.search(f"{told.get('image') or name} {_words_of(told)}"):
        why = "usual for php-fpm, which its image or command names; FastCGI would not do, the lab asks by HTTP"
        return Guess(value="9000", why=why, is_sure=False)
    return Guess(value=str(USUAL_PORT), why="nothing says where it listens", is_sure=False)


def guess_ready(name: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> Guess:
    """The path that says whether it is ready."""
    for one in _asks_users_port(name, told, image):
        return Guess(value=one.path, why="its health check asks for it", is_sure=one.path != "/")
    for label, value in _labels(told):
        if _TRAEFIK_PATH.fullmatch(label):
            return Guess(value=value, why=f"the label {label}")
    return Guess(value=USUAL_PATH, why="no health check says it", is_sure=False)


def guess_front(config: Mapping[str, Any], service: str) -> tuple[str, int] | None:
    """The proxy that depends on the app alone, and its port; None where there is none, or more than one."""
    found = []
    for name, one in config["services"].items():
        plain = [port for port in _named_ports(one) if not _is_tls(port)] or ([80] if _is_routed(one) else [])
        if name != service and _is_front(config, name) and service in (one.get("depends_on") or {}) and plain:
            found.append((name, plain[0]))
    return found[0] if len(found) == 1 else None


def _is_store(config: Mapping[str, Any], name: str) -> bool:
    """By its image; somebody's own by where it listens, and by its name ("orders-db2") where nothing says where."""
    image = image_of(config, name)
    if base_name(image) in STORES or _MSSQL.search(image):
        return True
    ports = _named_ports(config["services"][name])
    if ports:
        return all(port in STORE_PORTS for port in ports)
    last = re.split(r"[-_.]", name)[-1].rstrip("0123456789")
    return last in STORE_NAMES and not _JOB_NAME.search(name)


def _is_front(config: Mapping[str, Any], name: str) -> bool:
    """By its image; or by its name, where it is published or depends on somebody."""
    one = config["services"][name]
    if is_proxy(config, name):
        return not one.get("build") or bool(_PROXY_NAME.search(name))
    return bool(_PROXY_NAME.search(name)) and bool(one.get("ports") or one.get("depends_on"))


def _is_worker(config: Mapping[str, Any], name: str) -> bool:
    one = config["services"][name]
    words = " ".join(word for word in _words_of(one).split() if not word.startswith("-"))  # gunicorn has --workers
    is_reached = any(int(port["target"]) not in _DEBUGGERS for port in one.get("ports") or ())
    return not is_reached and bool(_WORKER_NAME.search(name) or _WORKS.search(words) or _helps_another(config, name))


def _helps_another(config: Mapping[str, Any], name: str) -> bool:
    """Of the image of another that it depends on, and nobody comes to it or waits for it."""
    services = config["services"]
    one = services[name]
    alike = [
        other
        for other in one.get("depends_on") or {}
        if other != name and _made_of(services[other]) == _made_of(one) and _is_more_than_a_job(one, other)
    ]
    waited_for = any(name in (other.get("depends_on") or {}) for other in services.values())
    return bool(alike) and not waited_for and not one.get("ports") and not _is_routed(one)


def _made_of(told: Mapping[str, Any]) -> tuple[Any, Any]:
    return told.get("image"), told.get("build")


def _is_more_than_a_job(told: Mapping[str, Any], other: str) -> bool:
    """Whether what a service waits for stays: a job of the same image says nothing of who is the app."""
    return str((told["depends_on"][other] or {}).get("condition")) != "service_completed_successfully"


def _is_reached(told: Mapping[str, Any]) -> bool:
    """Published for users, by TCP and not for debugging alone, or routed to by a proxy's labels."""
    ports = [int(one["target"]) for one in told.get("ports") or () if one.get("protocol") != "udp"]
    return bool(_for_users(ports)) or _is_routed(told)


def _is_routed(told: Mapping[str, Any]) -> bool:
    """Whether a proxy finds it by its labels or variables."""
    by_label = any(_TRAEFIK_RULE.match(label) for label, _ in _labels(told))
    return by_label or "VIRTUAL_HOST" in (told.get("environment") or {})


def _behind_fronts(config: Mapping[str, Any], may_be: list[str]) -> list[str]:
    services = config["services"]
    fronts = [name for name in services if _is_front(config, name)]
    return list(
        dict.fromkeys(one for name in fronts for one in services[name].get("depends_on") or {} if one in may_be)
    )


def _against_the_reached(config: Mapping[str, Any], name: str, may_be: list[str]) -> str:
    """Why the only one that users reach may yet be another's front, or beside the app; "" if nothing says so."""
    reached = f"{name} is {_IS_REACHED}"
    inside = [one for one, told in config["services"].items() if told.get("network_mode") == f"service:{name}"]
    if inside:
        return f"{reached}, but {', '.join(inside)} share its network and may be the ones that are reached"
    behind = _behind_fronts(config, may_be)
    if behind and name not in behind:
        return f"{reached}, but what stands in front depends on {', '.join(behind)}"
    needed = [one for one in config["services"][name].get("depends_on") or {} if one in may_be]
    return f"{reached}, but it depends on {', '.join(needed)} and may stand in front" if needed else ""


def _needs_a_store(config: Mapping[str, Any], name: str) -> bool:
    return any(_is_store(config, one) for one in config["services"][name].get("depends_on") or {})


def _others(config: Mapping[str, Any], may_be: list[str]) -> str:
    return ", ".join(f"{name} ({what_else(config, name)})" for name in config["services"] if name not in may_be)


def _ask(may_be: list[str], what: str) -> UsageError:
    return UsageError(what, at="lab init", hint=f"lab init --service {' | '.join(map(shlex.quote, may_be))}")


def _test_of(told: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    """The command of its health check, of its image's where it has none; "" for none."""
    own = told.get("healthcheck") or {}
    test = own.get("test") or (image.get("Healthcheck") or {}).get("Test") or ()
    return "" if own.get("disable") else " ".join(map(str, test))


def _asked(name: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> Iterator[_Asked]:
    """What its health check asks for of the container itself, by whatever name."""
    names = {name, *(str(told[key]) for key in ("container_name", "hostname") if told.get(key))}
    urls = _URL_OF.format(itself=_ITSELF, names="|".join(map(re.escape, sorted(names))))
    for found in re.finditer(urls, _test_of(told, image)):
        is_plain = found["scheme"] != "https"
        port: int | None = 80 if is_plain else 443
        if found["port"]:
            port = _number(found["port"].removeprefix(":"), told, image)
        if port is not None or found["path"]:
            yield _Asked(port=port, path=(found["path"] or "/").partition("#")[0], is_plain=is_plain)


def _number(text: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> int | None:
    """A port as a health check writes it: a number, or a variable whose value the service or its image says."""
    variable = _VARIABLE.fullmatch(text)
    if variable:
        in_image = dict(str(one).partition("=")[::2] for one in image.get("Env") or ())
        values = {**in_image, **(told.get("environment") or {})}
        text = str(values.get(variable["name"]) or variable["default"] or "")
    return int(text) if re.fullmatch(r"[0-9]{1,5}", text) else None


def _asks_users_port(name: str, told: Mapping[str, Any], image: Mapping[str, Any]) -> list[_Asked]:
    """Of those what asks where users come: an app may have another door for whoever looks after it."""
    named = _named_ports(told)
    return [one for one in _asked(name, told, image) if not named or one.port is None or one.port in named]


def _knocks(told: Mapping[str, Any], image: Mapping[str, Any]) -> list[int]:
    return _for_users([int(found["port"]) for found in _KNOCKS.finditer(_test_of(told, image))])


def _named_ports(told: Mapping[str, Any]) -> list[int]:
    """Where it listens by TCP: what it publishes and what it exposes."""
    published = [int(one["target"]) for one in told.get("ports") or () if one.get("protocol") != "udp"]
    return published + [int(found[1]) for one in told.get("expose") or () if (found := _exposed(str(one)))]


def _labels(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((str(name), str(value)) for name, value in (told.get("labels") or {}).items())


def _words_of(told: Mapping[str, Any]) -> str:
    """Its entrypoint and its command."""
    return " ".join(map(str, [*(told.get("entrypoint") or ()), *(told.get("command") or ())]))


def _listens(told: Mapping[str, Any]) -> list[int]:
    words = _INSPECTS.sub(" ", re.sub(r"['\"]", " ", _words_of(told)))
    return _for_users([int(found["port"]) for found in _LISTENS.finditer(words)])


def _exposed(text: str) -> re.Match[str] | None:
    """ "3000", "3000/tcp" and the first of "8000-8010"; nothing of "53/udp"."""
    return None if text.endswith("/udp") else re.match(r"(\d+)", text)


def _for_users(ports: list[int]) -> list[int]:
    """Those that users may come to, as they stand there; if there is no other, those that may speak HTTP at all."""
    ports = list(dict.fromkeys(ports))
    usual = [port for port in ports if port not in _NOT_FOR_USERS and not _is_tls(port)]
    return usual or [port for port in ports if port not in _NEVER_HTTP]


def _is_tls(port: int) -> bool:
    """443, 8443, 9443 and so on: by custom."""
    return port % 1000 == 443


def _spoken(port: int, *, may_be_php: bool) -> str:
    """What is usually spoken there in place of HTTP, if nothing else is known of an app; "" for HTTP."""
    return "TLS" if _is_tls(port) else "FastCGI" if port == 9000 and may_be_php else ""
