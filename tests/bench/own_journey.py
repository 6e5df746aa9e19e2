"""Users of an app of one's own, as somebody writes them, on the stub of the shop: a cart that is filled and read."""

from __future__ import annotations

from typing import Any

from lab.users.own import Http, UserJourney

MOST_LINES = 5


class Visitor(UserJourney):
    """Puts something into the cart, or takes the oldest out of a full one; then reads it."""

    def begin(self) -> dict[str, Any]:
        return {"lines": []}

    def log_in(self, http: Http) -> None:
        http.post("/login", json={"account": self.name, "password": "a long password"}, once=True)

    def act(self, http: Http) -> None:
        lines = self.model["lines"]
        if len(lines) >= MOST_LINES:
            http.post(f"/cart/{lines[0]}/remove", once=True)
            del lines[0]
        else:
            lines.append(http.post("/cart", json={"sku": "cup", "quantity": 2}, once=True).json()["line"])

    def state(self, http: Http) -> Any:
        return {"lines": [line["id"] for line in http.get("/cart").json()["lines"]]}
