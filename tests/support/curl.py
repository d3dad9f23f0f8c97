"""What the API guide's session needs of curl, for machines that have none."""

import argparse
import sys
from urllib.parse import urlsplit

import requests


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-f", action="store_true")
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-S", action="store_true")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("-F", dest="form", action="append", default=[])
    given = parser.parse_args()
    assert urlsplit(given.url).hostname == "127.0.0.1"
    headers = dict(line.split(": ", 1) for line in given.headers)
    files = {}
    for field in given.form:
        name, value = field.split("=", 1)
        files[name] = (value[1:].rsplit("/", 1)[-1], open(value[1:], "rb")) if value[0] == "@" else (None, value)  # noqa: SIM115
    method = given.method or ("POST" if given.data or files else "GET")
    body = given.data.encode() if given.data else None
    answer = requests.request(method, given.url, headers=headers, data=body, files=files or None, timeout=120)
    sys.stdout.write(answer.text)
    return 22 if given.f and not answer.ok else 0


if __name__ == "__main__":
    sys.exit(main())
