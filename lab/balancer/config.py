"""The balancer's configuration as text: fixed slots, each a unix socket, so that no change ever needs a reload.

A reload closes idle client connections, and requests already on their way die (about six a reload with 60
keep-alive connections at 200 requests/s). With a static upstream the replicas themselves come and go: one that
is ready renames its socket over the slot's name, one that drains takes the name away.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from lab.model import Slot, Value

SLOTS_FOLDER = "/run/slots"


class Affinity(StrEnum):
    """Whether a browser comes back to the slot that served it before."""

    NONE = "none"
    COOKIE = "cookie"


class BalancerSettings(Value):
    """What may differ between clusters. Times in seconds."""

    affinity: Affinity = Affinity.NONE
    connect_timeout: float = 0.25
    answer_timeout: float = 4.0
    """How long one replica may be silent before the request is repeated elsewhere."""
    most_tries: int = 3
    repeats_writes: bool = True
    """Only where every state change carries an idempotency key, as the shop's do."""


def render(slots: Iterable[Slot], settings: BalancerSettings) -> str:
    """The whole nginx.conf. The users' door is port 8080, the lab's is 8081; both are inside the container."""
    sockets = [f"unix:{SLOTS_FOLDER}/{slot.name}.sock" for slot in slots]
    lines = [f"    server {socket} max_fails=1 fail_timeout=1s;" for socket in sockets]
    if settings.affinity is Affinity.NONE:
        # Where every slot has failed within a second, nginx would ask nobody at all. The last resort asks them
        # anyway: a stall of the whole cluster must not become an outage. (`hash` allows no backup servers.)
        lines += [f"    server {socket} max_fails=0 backup;" for socket in sockets]
    servers = "\n".join(lines)
    repeat = "error timeout non_idempotent" if settings.repeats_writes else "error timeout"
    balance, stick = "", ""
    if settings.affinity is Affinity.COOKIE:
        balance = "    hash $route consistent;"
        stick = (
            "  map $cookie_route $route { default $cookie_route; '' $request_id; }\n"
            "  map $cookie_route $new_route { default ''; '' 'route=$request_id; Path=/; HttpOnly; SameSite=Lax'; }"
        )
    return _TEXT.format(
        servers=servers,
        balance=balance,
        stick=stick,
        stick_header="add_header Set-Cookie $new_route always;" if stick else "",
        repeat=repeat,
        tries=settings.most_tries,
        connect_ms=round(settings.connect_timeout * 1000),
        answer_ms=round(settings.answer_timeout * 1000),
        all_ms=round(settings.answer_timeout * 1000 * settings.most_tries),
        slots=SLOTS_FOLDER,
        policy="; ".join(f"{rule} 'none'" for rule in ("default-src", "base-uri", "form-action", "frame-ancestors")),
    )


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
  client_max_body_size 64k;
{stick}
  upstream shop {{
    zone shop 128k;
{balance}
{servers}
    keepalive 64;
    keepalive_timeout 1s;
    keepalive_requests 1000000;
  }}

  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_connect_timeout {connect_ms}ms;
  proxy_send_timeout {answer_ms}ms;
  proxy_read_timeout {answer_ms}ms;

  server {{
    listen 8080 backlog=4096;
    location / {{
      proxy_pass http://shop;
      # A replica that dies, is silent or has left its slot costs the user nothing: the request goes to the next.
      proxy_next_upstream {repeat};
      proxy_next_upstream_tries {tries};
      proxy_next_upstream_timeout {all_ms}ms;
      add_header X-Edge $upstream_addr always;
      {stick_header}
    }}
    error_page 502 504 @nobody;
    location @nobody {{
      root /usr/share/lab;
      try_files /maintenance.html =502;
      add_header X-Edge $upstream_addr always;
      add_header Cache-Control "no-store" always;
      add_header X-Content-Type-Options "nosniff" always;
      add_header Referrer-Policy "no-referrer" always;
      add_header Content-Security-Policy "{policy}" always;
    }}
  }}

  # The lab's own door: one slot's replica by name, never repeated elsewhere.
  server {{
    listen 8081;
    access_log off;
    error_log /dev/stderr alert;  # that a slot is empty is an answer here, not an error
    location = /_lab/alive {{ return 200 "alive\\n"; }}
    location = /_lab/figures {{ stub_status; }}
    location ~ ^/_lab/slot/(?<slot>[a-z0-9-]+)/(?<path>.*)$ {{
      proxy_next_upstream off;
      proxy_pass http://unix:{slots}/$slot.sock:/$path$is_args$args;
    }}
  }}
}}
"""
