"""Links that our own server answers: whom they let in, for how long, under which file name."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from werkzeug.http import parse_options_header

from app.utils.object_store import LinkSigner, ObjectLinkInvalid, SignedLink, content_disposition
from app.utils.object_store import links as links_module

KEY = "a signing key for tests, long enough"


@pytest.fixture
def signer():
    return LinkSigner(KEY)


@pytest.fixture
def clock(monkeypatch):
    """Seconds that go on only when a test says so."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(links_module.time, "time", lambda: now[0])
    return now


def test_a_link_works_until_it_expires(signer, clock):
    token = signer.sign("key", timedelta(minutes=5), "table.csv")

    clock[0] += 299
    link = signer.unsign(token)
    clock[0] += 1

    assert link == SignedLink("key", "table.csv")
    with pytest.raises(ObjectLinkInvalid, match="expired"):
        signer.unsign(token)


def test_a_link_changed_anywhere_is_refused(signer):
    token = signer.sign("key", timedelta(minutes=5), "table.csv")
    changed = [token[:i] + ("A" if token[i] != "A" else "B") + token[i + 1 :] for i in range(len(token) - 1)]

    for bad in [*changed, token[:-1], token + "A", "", "x", "a.b", "." * 5]:
        with pytest.raises(ObjectLinkInvalid, match="not made by this server, or was altered"):
            signer.unsign(bad)


def test_a_token_that_the_same_key_signed_for_another_purpose_is_no_link(signer):
    session = URLSafeSerializer(KEY, salt="cookie-session").dumps(["key", "file", 9e15])

    with pytest.raises(ObjectLinkInvalid):
        signer.unsign(session)


@given(file_name=st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_download_header_is_one_line_and_gives_the_name_back(file_name):
    header = content_disposition(file_name)

    kind, options = parse_options_header(header)
    assert header.isascii()
    assert header.isprintable()
    assert kind == "attachment"
    assert options["filename"] == file_name


def test_an_old_client_gets_a_harmless_name():
    header = content_disposition('Kessel "Ä"/..\\table\r\n.csv')

    assert header.startswith('attachment; filename="Kessel _A__.._table__.csv"; filename*=UTF-8')
