"""What must not be read in a log, whoever writes it and wherever it is kept."""

import re
from typing import Any

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(r"passw|secret|token|authorization|cookie|api_?key", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"""(://[^:/@\s]*:)[^@/\s]+(?=@)          # the password in a URL
      | (Bearer\s+)[\w.~+/=-]+                # a token in a header
      | ()\beyJ[\w-]+\.[\w-]+\.[\w-]+         # a JWT anywhere""",
    re.VERBOSE,
)


def without_secrets(value: Any) -> Any:
    """Replace what must not be read: values under telling names, and telling shapes inside texts."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(lambda m: (m.group(1) or m.group(2) or "") + HIDDEN, value)
    if isinstance(value, dict):
        return {k: HIDDEN if _SECRET_NAME.search(str(k)) else without_secrets(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value
