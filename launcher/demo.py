"""`make demo`: a server of its own, the worked example driven through it, and everything stopped again."""

import os
import sys
import time
from pathlib import Path

from launcher import commands, instance, ports, server
from launcher.logs import say


def run(folder: Path, *, port: int) -> int:
    """Run the example on the instance in `folder` and return its exit status."""
    started_at = time.monotonic()
    with server.running(
        folder,
        listen=lambda: ports.listen("127.0.0.1", port),
        inherited={k: v for k, v in os.environ.items() if not k.startswith("SETPOINT_")},  # shielded from yours
        admin_password=lambda kept: kept["DEMO_PASSWORD"],
        secret_names=(*instance.SECRET_NAMES, "DEMO_PASSWORD"),
    ) as running:
        say(f"Ready at {running.url} after {time.monotonic() - started_at:.1f} s.")
        example = running.supervisor.start(
            "example",
            commands.script(
                commands.COAL_UNIT,
                *("--url", running.url, "--username", server.ADMIN),
                *("--report", str(folder / "report.json"), "--plot", str(folder / "convergence.png")),
            ),
            environment={
                "SETPOINT_CLIENT_PASSWORD": instance.load_secrets(folder)["DEMO_PASSWORD"],
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            },
            stdout=sys.stdout.fileno(),
            stderr=sys.stderr.fileno(),
        )
        return running.supervisor.wait_for(example)
