"""The command line: `python -m launcher run`, `demo` and `flask`."""

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

from launcher import commands, demo, ports, server, shell
from launcher.errors import LaunchError, StopRequestedError
from launcher.logs import say

USUAL_PORT = 8000


def main() -> int:
    """Run the command line and return the exit status. A failure is one sentence on stderr."""
    arguments = parser().parse_args()
    os.umask(0o077)  # everything in an instance is its owner's alone, whichever process makes it
    try:
        return arguments.action(arguments)
    except StopRequestedError as stop:
        return 0 if arguments.action is run else 128 + stop.signal_number
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # the last stop before the terminal
        if arguments.debug:
            raise
        print(f"setpoint: {sentence(error)}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser; its help is what `python -m launcher --help` shows."""
    top = argparse.ArgumentParser(prog="python -m launcher", description="Run Setpoint on this machine.")
    top.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    actions = top.add_subparsers(required=True, metavar="run|demo|flask")

    host, port = configured_address()
    running = actions.add_parser("run", help="keep a server running until Ctrl-C or SIGTERM")
    running.add_argument("--instance", type=Path, default=configured_instance(), help="folder of its data")
    running.add_argument("--host", default=host, help="address to listen on (default: %(default)s)")
    running.add_argument(
        "--port", type=int, default=port, help=f"port (default: {USUAL_PORT}, or a free one if it is taken)"
    )
    running.set_defaults(action=run)

    showing = actions.add_parser("demo", help="drive the worked example through a server of its own")
    showing.add_argument("--instance", type=Path, default=commands.ROOT / "instance" / "demo")
    showing.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    showing.set_defaults(action=lambda given: demo.run(given.instance.absolute(), port=given.port))

    asking = actions.add_parser("flask", help="run the flask program on an instance: user list, user create, ...")
    asking.add_argument("--instance", type=Path, default=configured_instance(), help="folder of its data")
    asking.add_argument("arguments", nargs=argparse.REMAINDER, help="what flask is told")
    asking.set_defaults(action=lambda given: shell.run(given.instance.absolute(), given.arguments))
    return top


def configured_address() -> tuple[str, int | None]:
    """Return host and port of SETPOINT_WEB_BIND, so that it means here what it means to gunicorn alone."""
    host, _, port = os.environ.get("SETPOINT_WEB_BIND", "").rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port) if port.isdigit() else None


def configured_instance() -> Path:
    """Return the folder of SETPOINT_INSTANCE_DIR, else `instance/` beside the code."""
    return Path(os.environ.get("SETPOINT_INSTANCE_DIR") or commands.ROOT / "instance")


def run(given: argparse.Namespace) -> int:
    """Keep a server running; ends only with an exception."""
    folder = given.instance.absolute()
    with server.running(
        folder, listen=lambda: listener(given.host, given.port), inherited=os.environ, echo=True
    ) as running:
        say(f"\nSetpoint is ready at {running.url}   (API: {running.url}/api/v1/docs)")
        say(f"Its data and logs are in {folder}. Ctrl-C stops it.")
        if running.new_admin_password:
            say(f"First start: sign in as admin with the password {running.new_admin_password}")
            say("It is shown only now; change it after signing in.")
        running.supervisor.watch()
    return 0


def listener(host: str, port: int | None) -> socket.socket:
    """Return the web server's socket: on the port asked for, else the usual one, else any."""
    return ports.listen_near(host, USUAL_PORT) if port is None else ports.listen(host, port)


def sentence(error: Exception) -> str:
    """Say a failure in words: ours as they are, the system's and surprises with their kind."""
    if isinstance(error, LaunchError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    return f"Unexpected {type(error).__name__}: {error}. Repeat with --debug for the traceback."


if __name__ == "__main__":
    sys.exit(main())
