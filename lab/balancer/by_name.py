"""The balancer's configuration where replicas are found by a name, as in a swarm: whoever that name means just now."""

from __future__ import annotations

from lab.balancer.config import BalancerSettings

LOOKED_UP_EVERY = 1
"""Seconds for which an answer of the name's server is good."""


def render_by_name(name: str, port: int, settings: BalancerSettings) -> str:
    """The whole nginx.conf: the users' door is port 8080. Each request goes to one of those that bear the name, in
    turn, and to the next where that one does not answer."""
    repeat = "error timeout http_503 non_idempotent" if settings.repeats_writes else "error timeout"
    return _TEXT.format(
        name=name,
        port=port,
        valid=LOOKED_UP_EVERY,
        repeat=repeat,
        tries=settings.most_tries,
        connect_ms=round(settings.connect_timeout * 1000),
        answer_ms=round(settings.answer_timeout * 1000),
        all_ms=round(settings.answer_timeout * 1000 * settings.most_tries),
    )


_TEXT = """\
pid /tmp/nginx.pid;
worker_processes 2;
error_log /dev/stderr crit;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server_tokens off;
  access_log off;
  keepalive_timeout 75s; keepalive_requests 1000000;
  resolver 127.0.0.11 valid={valid}s ipv6=off;
  resolver_timeout 1s;
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_connect_timeout {connect_ms}ms;
  proxy_send_timeout {answer_ms}ms;
  proxy_read_timeout {answer_ms}ms;
  server {{
    listen 8080 backlog=4096;
    set $app "{name}";
    location / {{
      proxy_pass http://$app:{port};
      proxy_next_upstream {repeat};
      proxy_next_upstream_tries {tries};
      proxy_next_upstream_timeout {all_ms}ms;
      add_header X-Edge $upstream_addr always;
    }}
    error_page 502 504 /_lab/nobody;
    location = /_lab/nobody {{
      internal;
      alias /usr/share/lab/maintenance.html;
      add_header X-Edge $upstream_addr always;
      add_header Cache-Control "no-store" always;
    }}
  }}
}}
"""
