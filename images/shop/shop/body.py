"""What a request's body says: flat fields of text, whether they came as JSON or from a form."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from shop.refusals import Refused

LONGEST_BODY = 16 * 1024
MOST_FIELDS = 32
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def parse_fields(content_type: str, raw: bytes) -> dict[str, str]:
    """The body's fields by name; raises Refused (400, 413) for anything that is not a few flat fields.

    Whole numbers and truths become text ("2", "true"), so that a form and JSON that say the same are the same.
    """
    if len(raw) > LONGEST_BODY:
        raise Refused(413, f"the body is longer than {LONGEST_BODY} bytes")
    if not raw:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            return _from_json(raw)
        if kind == FORM:
            return _from_form(raw)
    except (ValueError, RecursionError) as exc:
        raise Refused(400, "the body can't be read") from exc
    raise Refused(400, f"the body must be {JSON} or {FORM}")


def _from_json(raw: bytes) -> dict[str, str]:
    fields = json.loads(raw.decode("utf-8"))
    if not isinstance(fields, dict) or len(fields) > MOST_FIELDS:
        raise ValueError("not an object with few fields")
    return {_clean(name): _as_text(value) for name, value in fields.items()}


def _from_form(raw: bytes) -> dict[str, str]:
    pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is given twice")
    return fields


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise ValueError("not a flat field")


def _clean(text: str) -> str:
    """`text`, unless it holds half a surrogate pair: that is no text, and can't be written anywhere."""
    text.encode("utf-8")
    return text
