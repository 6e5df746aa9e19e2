"""The balancer's configuration as text: fixed slots, each a unix socket, so that no change ever needs a reload.

A reload closes idle client connections, and requests already on their way die (about six a reload with 60
keep-alive connections at 200 requests/s). With a static upstream the replicas themselves come and go: one that
is ready renames its socket over the slot's name, one that drains takes the name away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from lab.model import Slot, Value

SLOTS_FOLDER = "/run/slots"
MAINTENANCE_STYLE = "sha256-0CSTVLgGeo40Na/nO+vkQ9t2Sw0VHFv8wGZvtltGu/o="
"""The style that images/nginx/maintenance.html carries; its policy lets a browser load and run nothing else."""


class Affinity(StrEnum):
    """Whether a browser comes back to the slot that served it before."""

    NONE = "none"
    COOKIE = "cookie"
    """By a cookie of the balancer's own: each browser for itself."""
    ACCOUNT = "account"
    """By the `bucket` cookie that the app sets at login: all devices of an account go to one slot."""


class BalancerSettings(Value):
    """What may differ between clusters. Times in seconds."""

    affinity: Affinity = Affinity.NONE
    connect_timeout: float = 0.25
    answer_timeout: float = 4.0
    """How long one replica may be silent before the request is repeated elsewhere."""
    most_tries: int = 3
    """How many replicas a request may be sent to; slots that may stand empty come on top of that."""
    may_be_empty: int = 0
    """How many slots may have no replica: finding one empty costs a try of nginx's, though nothing was sent."""
    repeats_writes: bool = True
    """Only where every state change carries an idempotency key, as the shop's do."""
    gated: bool = False
    """Whether a gate stands before every replica: it passes connections on that carry one request each."""
    ready: str = "/readyz"
    """Where a replica says whether it is ready."""
    largest_body: str = "64k"
    as_the_app: int = 0
    """The app's own port, where another balancer stands before this one and asks for the app there; 0: none does."""


def render(slots: Iterable[Slot], settings: BalancerSettings) -> str:
    """The whole nginx.conf. The users' door is port 8080, the lab's is 8081; both are inside the container."""
    sockets = [f"unix:{SLOTS_FOLDER}/{slot.name}.sock" for slot in slots]
    lines = [f"    server {socket} max_fails=1 fail_timeout=1s;" for socket in sockets]
    if settings.affinity is Affinity.NONE:
        # Where every slot has failed within a second, nginx would ask nobody at all. The last resort asks them
        # anyway: a stall of the whole cluster must not become an outage. (`hash` allows no backup servers.)
        lines += [f"    server {socket} max_fails=0 backup;" for socket in sockets]
    servers = "\n".join(lines)
    repeat = "error timeout http_503 non_idempotent" if settings.repeats_writes else "error timeout"
    balance, stick, new_cookie = "", "", ""
    if settings.affinity is not Affinity.NONE:
        name = "route" if settings.affinity is Affinity.COOKIE else "bucket"
        balance = "    hash $route consistent;"
        stick = f"  map $cookie_{name} $route {{ default $cookie_{name}; '' $request_id; }}\n"
    if settings.affinity is Affinity.COOKIE:
        cookie = "route=$request_id; Path=/; HttpOnly; SameSite=Lax"
        stick += f"  map $cookie_route $new_route {{ default ''; '' '{cookie}'; }}\n"
        new_cookie = "add_header Set-Cookie $new_route always;"
    return _TEXT.format(
        servers=servers,
        balance=balance,
        stick=stick,
        stick_header=new_cookie,
        repeat=repeat,
        tries=settings.most_tries + settings.may_be_empty,
        connect_ms=round(settings.connect_timeout * 1000),
        answer_ms=round(settings.answer_timeout * 1000),
        all_ms=round(settings.answer_timeout * 1000 * settings.most_tries),
        slots=SLOTS_FOLDER,
        ready=settings.ready,
        largest_body=settings.largest_body,
        as_the_app=f"    listen {settings.as_the_app} backlog=4096;\n" if settings.as_the_app else "",
        forwarded="" if settings.as_the_app else _FORWARDED,
        connection="close" if settings.gated else "",
        keep="" if settings.gated else _KEEP,
        own=_KEPT_OUT if settings.gated else "",
        of_slot=_QUESTION.format(of="slot") if settings.gated else "",
        of_replica=_QUESTION.format(of="replica") if settings.gated else "",
        policy="; ".join(
            (f"style-src '{MAINTENANCE_STYLE}'", *(f"{rule} 'none'" for rule in _NOTHING_FROM)),
        ),
    )


def slots_in(configuration: str) -> tuple[str, ...]:
    """The names of the slots that a rendered configuration knows, in their order."""
    return tuple(dict.fromkeys(_SLOT.findall(configuration)))


_SLOT = re.compile(rf"server unix:{re.escape(SLOTS_FOLDER)}/([a-z0-9-]+)\.sock ")
_NOTHING_FROM = ("default-src", "base-uri", "form-action", "frame-ancestors")
_KEEP = """\
    keepalive 64;
    keepalive_timeout 1s;
    keepalive_requests 1000000;
"""

_KEPT_OUT = """\
  proxy_set_header X-Lab-Question "";
  proxy_set_header X-Lab-Passed-On "";
"""
"""What gates say to each other and are asked by the lab: nobody outside may."""
_QUESTION = """\
      proxy_set_header Connection "close";
      proxy_set_header Host $http_host;
      proxy_set_header X-Lab-Question {of};
"""
_FORWARDED = """\
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
"""
"""Whoever stands before this balancer has said so already."""

_TEXT = """\
worker_processes 2;
worker_rlimit_nofile 16384;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server_tokens off;
  default_type text/html;

  # Only what a blame may need is logged: requests that more than one replica was asked for, and failures.
  map "$status $upstream_addr" $is_telling {{ default 0; "~^5" 1; "~," 1; }}
  log_format telling '$msec $request_method $uri $status $request_time upstream=$upstream_addr'
                     ' said=$upstream_status took=$upstream_response_time';
  access_log /dev/stdout telling if=$is_telling;

  # Users keep their connections; the lab never reloads, so that nothing but their own silence ends them.
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  client_max_body_size {largest_body};
{stick}
  upstream shop {{
    zone shop 128k;
{balance}
{servers}
{keep}  }}

  proxy_http_version 1.1;
  proxy_set_header Connection "{connection}";
  proxy_set_header Host $http_host;
{own}{forwarded}  proxy_connect_timeout {connect_ms}ms;
  proxy_send_timeout {answer_ms}ms;
  proxy_read_timeout {answer_ms}ms;

  server {{
    listen 8080 backlog=4096;
{as_the_app}    location / {{
      proxy_pass http://shop;
      # A replica that dies, is silent or has left its slot costs the user nothing: the request goes to the next.
      proxy_next_upstream {repeat};
      proxy_next_upstream_tries {tries};
      proxy_next_upstream_timeout {all_ms}ms;
      add_header X-Edge $upstream_addr always;
      {stick_header}
    }}
    # Not a named location: that would keep the request's method, and a file can't be POSTed to. The 405 would tell
    # the user that nothing was done, where nobody knows.
    error_page 502 504 /_lab/nobody;
    location = /_lab/nobody {{
      internal;
      alias /usr/share/lab/maintenance.html;
      add_header X-Edge $upstream_addr always;
      add_header Cache-Control "no-store" always;
      add_header X-Content-Type-Options "nosniff" always;
      add_header Referrer-Policy "no-referrer" always;
      add_header Content-Security-Policy "{policy}" always;
    }}
  }}

  # The lab's own door: one slot's replica, or a replica by its own name, never repeated elsewhere.
  server {{
    listen 8081;
    access_log off;
    error_log /dev/stderr alert;  # that a slot is empty is an answer here, not an error
    # By its address alone: a name that somebody makes to mean this machine opens nothing to a browser's pages.
    if ($http_host !~* "^(?:[0-9.]+|\\[[0-9a-f:]+\\]|localhost)?(?::[0-9]+)?$") {{ return 421; }}
    location = /_lab/alive {{ return 200 "alive\\n"; }}
    location = /_lab/figures {{ stub_status; }}
    location ~ ^/_lab/slot/(?<slot>[a-z0-9-]+)/readyz$ {{
      proxy_next_upstream off;
{of_slot}      proxy_pass http://unix:{slots}/$slot.sock:{ready};
    }}
    location ~ ^/_lab/replica/(?<replica>[a-z0-9-]+)/readyz$ {{
      proxy_next_upstream off;
{of_replica}      proxy_pass http://unix:{slots}/.$replica.sock:{ready};
    }}
    location ~ ^/_lab/slot/(?<slot>[a-z0-9-]+)/(?<path>.*)$ {{
      proxy_next_upstream off;
      proxy_pass http://unix:{slots}/$slot.sock:/$path$is_args$args;
    }}
    location ~ ^/_lab/replica/(?<replica>[a-z0-9-]+)/(?<path>.*)$ {{
      proxy_next_upstream off;
      proxy_pass http://unix:{slots}/.$replica.sock:/$path$is_args$args;
    }}
  }}
}}
"""
