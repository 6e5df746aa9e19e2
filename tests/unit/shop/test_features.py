"""The releases, and the settings that choose one."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop.catalogue import BY_SKU, ITEMS
from shop.features import READABLE_FORMATS, RELEASES, features_of
from shop.labels import label_of
from shop.settings import settings_from


def test_the_second_release_adds_and_takes_nothing_away() -> None:
    """v2 can what v1 can and more; both read what either writes."""
    one, two = features_of("v1"), features_of("v2")
    assert (one.gift_wrapping, one.device_labels) == (False, False)
    assert (two.gift_wrapping, two.device_labels) == (True, True)
    assert {release.session_format for release in RELEASES.values()} <= set(READABLE_FORMATS)


def test_a_release_that_was_never_made_is_an_error() -> None:
    """An image built with a wrong argument says so when it starts."""
    with pytest.raises(ValueError, match="SHOP_RELEASE is 'v9'"):
        features_of("v9")


@pytest.mark.parametrize("name", ["SHOP_SESSIONS", "SHOP_SABOTAGE"])
def test_a_setting_that_makes_no_sense_is_named(name: str) -> None:
    """The message tells the variable and its choices."""
    with pytest.raises(ValueError, match=f"{name} is 'perhaps'; it must be one of"):
        settings_from({name: "perhaps"})


def test_settings_come_from_the_environment_alone() -> None:
    """A replica with a slot serves it; one without listens on its port."""
    with_slot = settings_from({"LAB_SLOT": "a1", "LAB_ZONE": "a", "LAB_REPLICA": "a1-7", "SHOP_RELEASE": "v2"})
    assert (with_slot.slot, with_slot.zone, with_slot.replica, with_slot.release) == ("a1", "a", "a1-7", "v2")
    without = settings_from({"PORT": "8123", "STORE_PASSWORD_FILE": "/run/secrets/store_password"})
    assert (without.slot, without.port) == (None, 8123)
    assert without.store_password_file == Path("/run/secrets/store_password")


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.14.1", "curl"),
        ("<script>alert(1)</script>", "Some client"),
        ("", "Some client"),
    ],
)
def test_a_device_is_called_by_plain_words(agent: str, label: str) -> None:
    """Nothing of the header itself is kept."""
    assert label_of(agent) == label


def test_the_catalogue_is_complete() -> None:
    """Twelve items with distinct names and prices in cents, each with its drawing."""
    drawings = (Path(__file__).parents[3] / "images/shop/shop/static/items.svg").read_text()
    assert len(ITEMS) == len(BY_SKU) == len({item.name for item in ITEMS}) == 12
    for item in ITEMS:
        assert item.price > 0
        assert f'id="{item.art}"' in drawings
