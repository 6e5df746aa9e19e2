"""Users of the shop as of somebody's own app: they fill a cart, empty it again, and read it."""

from __future__ import annotations

from typing import Any

from lab.users.own import UserJourney

MOST_LINES = 5


class Buyer(UserJourney):
    """Puts something into the cart, or takes the oldest out of a full one."""

    def begin(self) -> dict[str, Any]:
        return {"lines": []}

    def log_in(self, http: Any) -> None:
        http.post("/login", json={"account": self.name, "password": "a long password"}, once=True)

    def act(self, http: Any) -> None:
        lines = self.model["lines"]
        if len(lines) >= MOST_LINES:
            http.post(f"/cart/{lines[0]}/remove", once=True)
            del lines[0]
        else:
            lines.append(http.post("/cart", json={"sku": "teapot", "quantity": 2}, once=True).json()["line"])

    def state(self, http: Any) -> Any:
        return {"lines": [line["id"] for line in http.get("/cart").json()["lines"]]}
