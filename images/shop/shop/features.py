"""What each release of the shop can do: the only place where v1 and v2 differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """One release's abilities. `session_format` is what it writes; every release reads READABLE_FORMATS."""

    release: str
    gift_wrapping: bool
    device_labels: bool
    session_format: int


READABLE_FORMATS = (1, 2)
"""Formats only ever gain optional fields, and nobody rewrites a session's text, so the old release may read the
new one's sessions and never harms what it does not know. That is what lets both run side by side."""

RELEASES = {
    "v1": Features(release="v1", gift_wrapping=False, device_labels=False, session_format=1),
    "v2": Features(release="v2", gift_wrapping=True, device_labels=True, session_format=2),
}


def features_of(release: str) -> Features:
    """The features of `release`; raises ValueError for a release that was never made."""
    try:
        return RELEASES[release]
    except KeyError:
        raise ValueError(f"SHOP_RELEASE is {release!r}; it must be one of {', '.join(RELEASES)}") from None
