"""Requests to addresses that somebody else has named."""

import socket
import time
from pathlib import Path

import pytest

from app.utils import outward
from app.utils.outward import AddressRefused, NoAnswer
from tests.support.receiver import dripping_server, receiver

CERTIFICATE = Path(__file__).parents[1] / "data" / "localhost.pem"  # of "localhost", with its key; signed by itself
PUBLIC = "93.184.215.14"
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::127.0.0.1",
    "fe80::1",
    "fe80::1%lo",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "64:ff9b:1::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::7f00:1",
    "::ffff:0:7f00:1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]


@pytest.fixture
def names(monkeypatch):
    """Answer look-ups from a table of our own: name -> answers, each of which is given once, the last one for ever."""
    real, table, asked = socket.getaddrinfo, {}, []

    def look_up(host, port, *args, **kwargs):
        if host not in table:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        addresses = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)  # the outside begins here
    table["asked"] = asked
    return table


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_not_everybody_can_reach_is_not_public(address):
    assert not outward.is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_an_address_on_the_internet_is_public(address):
    assert outward.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]:8000/",
        "http://localhost/",
        "http://127.1/",  # other spellings of 127.0.0.1
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://no-such-name.invalid/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "example.com",
        "http://",
        "http://user:password@example.com/",
        "http://example.com:99999/",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://exämple.com/",
    ],
)
def test_what_is_not_a_public_address_of_http_is_refused(url):
    with pytest.raises(AddressRefused):
        outward.check(url)


def test_a_name_with_one_private_address_among_public_ones_is_refused(names):
    names["mixed.example"] = [[PUBLIC, "10.0.0.1"]]

    with pytest.raises(AddressRefused):
        outward.check("http://mixed.example/")


def test_a_refusal_does_not_tell_whether_there_is_such_a_name(names):
    names["inside.example"] = [["10.0.0.1"]]
    said = []
    for url in ("http://inside.example/", "http://no-such-name.invalid/"):
        with pytest.raises(AddressRefused) as refused:
            outward.check(url)
        said.append(str(refused.value))

    assert said[0] == said[1]


def test_a_name_that_leads_inside_by_the_time_it_is_called_is_not_called(names):
    with receiver() as inside:
        names["rebound.example"] = [[PUBLIC], ["127.0.0.1"]]
        url = f"http://rebound.example:{inside.port}/"
        outward.check(url)

        with pytest.raises(AddressRefused):
            outward.post(url, b"{}", {})

    assert inside.got == []


def test_the_connection_goes_to_the_address_that_was_looked_at(names):
    with receiver() as looked_at:
        names["rebound.example"] = [["127.0.0.1"], ["192.0.2.1"]]

        status = outward.post(f"http://rebound.example:{looked_at.port}/p?q=1", b"{}", {}, allows_private=True)

    assert status == 200
    assert names["asked"] == ["rebound.example"], "the name is resolved once"
    path, headers, _ = looked_at.got[0]
    assert (path, headers["Host"]) == ("/p?q=1", f"rebound.example:{looked_at.port}")


def test_a_redirect_is_an_answer_and_not_followed():
    with receiver() as first, receiver() as second:
        first.answers = [(307, {"Location": second.url})]

        status = outward.post(first.url, b"{}", {}, allows_private=True)

    assert (status, second.got) == (307, [])


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    with receiver() as proxy, receiver() as wanted:
        monkeypatch.setenv("http_proxy", proxy.url)

        outward.post(wanted.url, b"{}", {}, allows_private=True)

    assert (len(wanted.got), proxy.got) == (1, [])


def test_an_answer_that_drips_for_ever_is_cut_off(monkeypatch):
    monkeypatch.setattr(outward, "WHOLE_S", 0.3)
    began = time.monotonic()

    with dripping_server() as url, pytest.raises(NoAnswer, match="too long"):
        outward.post(url, b"{}", {}, allows_private=True)

    assert time.monotonic() - began < 4


def test_nobody_there_is_no_answer():
    with receiver() as gone:
        pass

    with pytest.raises(NoAnswer, match="ConnectionRefusedError"):
        outward.post(gone.url, b"{}", {}, allows_private=True)


def test_a_server_that_does_not_speak_tls_is_no_answer():
    with receiver() as plain, pytest.raises(NoAnswer):
        outward.post(plain.url.replace("http:", "https:"), b"{}", {}, allows_private=True)


def test_a_certificate_that_nobody_vouches_for_is_no_answer():
    with receiver(CERTIFICATE) as stranger, pytest.raises(NoAnswer, match="SSLCertVerificationError"):
        outward.post(f"https://localhost:{stranger.port}/", b"{}", {}, allows_private=True)

    assert stranger.got == []


def test_a_certificate_is_checked_against_the_name_and_not_the_address(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with receiver(CERTIFICATE) as known:
        status = outward.post(f"https://localhost:{known.port}/", b"{}", {}, allows_private=True)
        with pytest.raises(NoAnswer, match="SSLCertVerificationError"):
            outward.post(f"https://127.0.0.1:{known.port}/", b"{}", {}, allows_private=True)

    assert (status, len(known.got)) == (200, 1)
