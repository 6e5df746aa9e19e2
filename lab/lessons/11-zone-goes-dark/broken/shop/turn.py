"""How long a request waits for its turn at the warehouse. You may change this too."""

from __future__ import annotations

LONGEST_SECONDS = 30.0
"""Then it is refused. The shop's customers wait one second, and try three times."""
