"""Ports are held from the first moment, or refused in words."""

import socket

import pytest

from launcher import ports
from launcher.errors import LaunchError


def test_a_taken_port_is_refused_by_its_number():
    with ports.listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]

        with pytest.raises(LaunchError, match=f"Port {number} on 127.0.0.1 is already in use"):
            ports.listen("127.0.0.1", number)


def test_a_port_that_somebody_prefers_and_another_has_gives_a_free_one():
    with ports.listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]

        with ports.listen_near("127.0.0.1", number) as instead:
            assert instead.getsockname()[1] not in (0, number)


def test_a_free_port_that_somebody_prefers_is_given():
    number = ports.propose()

    with ports.listen_near("127.0.0.1", number) as listener:
        assert listener.getsockname()[1] == number


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("203.0.113.7", 8000), ("no such host", 8000)])
def test_an_address_that_this_machine_does_not_have_is_refused(host, port):
    with pytest.raises(LaunchError, match=f"Cannot listen on {host}, port {port}"):
        ports.listen(host, port)


def test_a_listening_socket_takes_connections_before_anybody_accepts_them():
    with ports.listen("127.0.0.1", 0) as listener:
        address = listener.getsockname()

        with socket.create_connection(address, timeout=5) as connection:
            assert connection.getpeername() == address
