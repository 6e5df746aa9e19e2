"""The kinds and outcomes as plain names: looking one up on its class costs as much as a whole comparison."""

from __future__ import annotations

from lab.model import Kind, Outcome

LOGIN, LOGOUT, BROWSE = Kind.LOGIN, Kind.LOGOUT, Kind.BROWSE
VIEW, HISTORY = Kind.VIEW, Kind.HISTORY
ADD, REMOVE, CART = Kind.ADD, Kind.REMOVE, Kind.CART
CHECKOUT, ORDERS = Kind.CHECKOUT, Kind.ORDERS
RENAME, ACCOUNT = Kind.RENAME, Kind.ACCOUNT
ACT, STATE = Kind.ACT, Kind.STATE
INTRUDE = Kind.INTRUDE
OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN
