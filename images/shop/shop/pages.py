"""The shop's pages: templates that are filled with the same answers that programs get."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shop.catalogue import BY_SKU
from shop.features import Features

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "pages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What every page is told besides its answer; `csrf` goes into each of its forms."""

    account: str | None
    csrf: str
    typed: str = ""
    """What was typed into the account's field before."""


class Pages:
    """Renders pages; the template engine is loaded with the first, since programs never need it."""

    def __init__(self, *, features: Features, replica: str, zone: str) -> None:
        self._common = {"features": features, "replica": replica, "zone": zone, "catalogue": BY_SKU}
        self._environment: Environment | None = None

    def render(self, page: str, answer: Mapping[str, object], *, status: int, setting: Setting) -> str:
        """Page `page` (without .html) filled with `answer`."""
        template = self._loaded().get_template(f"{page}.html")
        text: str = template.render(
            **self._common,
            answer=answer,
            status=status,
            page=page,
            account=setting.account,
            csrf=setting.csrf,
            typed=setting.typed,
            # Every form of a page gets a key of its own, so that sending it twice is sending it once.
            fresh_key=lambda: f"page.{secrets.token_urlsafe(12)}",
        )
        return text

    def _loaded(self) -> Environment:
        if self._environment is None:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 -- see the class

            self._environment = Environment(
                loader=FileSystemLoader(FOLDER),
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                auto_reload=False,
            )
            self._environment.filters["money"] = money
            self._environment.filters["moment"] = moment
        return self._environment


def money(cents: int) -> str:
    """An amount as people write it."""
    return f"€{cents // 100}.{cents % 100:02}"


def moment(seconds: int) -> str:
    """A time of day in UTC."""
    return time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(seconds))
