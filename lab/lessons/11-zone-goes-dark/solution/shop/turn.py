"""How long a request waits for its turn at the warehouse: less than its customer does."""

from __future__ import annotations

LONGEST_SECONDS = 0.3
"""Then it is refused, and the balancer asks another replica while the customer still waits."""
