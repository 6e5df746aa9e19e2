"""Session tokens, and what of them may be kept or shown."""

from __future__ import annotations

from shop.tokens import TOKEN, csrf_of, device_of, digest_of, new_token, seal, unseal


def test_tokens_are_long_and_distinct() -> None:
    """256 bits each, and no two of a hundred thousand alike."""
    tokens = {new_token() for _ in range(100_000)}
    assert len(tokens) == 100_000
    assert all(TOKEN.fullmatch(token) for token in tokens)


def test_nothing_derived_holds_the_token() -> None:
    """What is kept or shown differs from the token and from each other, and is the same every time."""
    token = new_token()
    derived = [digest_of(token), csrf_of(token), device_of(token)]
    assert derived == [digest_of(token), csrf_of(token), device_of(token)]
    assert len({token, *derived}) == 4
    assert not digest_of(token).startswith(device_of(token))


def test_a_sealed_token_opens_with_the_same_secret_and_key_only() -> None:
    """The store's copy is worth nothing without the password, and each sealing looks different."""
    token, secret = new_token(), b"s" * 32
    sealed = seal(token, secret=secret, key="key-0001")
    assert token not in sealed
    assert unseal(sealed, secret=secret, key="key-0001") == token
    assert unseal(sealed, secret=b"t" * 32, key="key-0001") != token
    assert unseal(sealed, secret=secret, key="key-0002") != token
    assert seal(token, secret=secret, key="key-0001") != sealed
