"""JSON from outside, read strictly: what is taken can be written again, to the database and to an answer."""

import json
import re
from typing import Any, NoReturn

_PART_OF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str | bytes) -> Any:
    """Return the value that ``text`` writes.

    Raises:
        ValueError: it is not JSON in UTF-8, names NaN or Infinity, nests too deep, or has an integer of thousands of
            digits or half of a surrogate pair.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        value = json.loads(text, parse_constant=_refuse)
        if _PART_OF_A_PAIR.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # fails if the other part is missing
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
