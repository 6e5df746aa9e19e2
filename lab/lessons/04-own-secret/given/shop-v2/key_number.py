"""The number of the key that this release signs with: each release has a new one."""

from __future__ import annotations

NUMBER = 2
