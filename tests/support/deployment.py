"""Setpoint as it is deployed: gunicorn with several workers and a Celery worker, as processes of their own."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path

from app.settings import PREFIX, Settings
from tests.support.servers import free_port, serve, server_folder

ROOT = Path(__file__).parent.parent.parent


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that makes a process read these settings."""
    given = {f"{PREFIX}{field.name.upper()}": getattr(settings, field.name) for field in fields(settings)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return kept | {name: str(value) for name, value in given.items() if value is not None}


@contextmanager
def deployment(settings: Settings, *, web_workers: int = 2, celery: bool = True, beat: bool = False) -> Iterator[str]:
    """Run the web processes, and a Celery worker beside them; yields the server's URL."""
    port = free_port()
    env = environment(settings) | {
        f"{PREFIX}WEB_BIND": f"127.0.0.1:{port}",
        f"{PREFIX}WEB_WORKERS": str(web_workers),
        f"{PREFIX}LOG_LEVEL": "INFO",
    }
    url = f"http://127.0.0.1:{port}"
    python = Path(sys.executable)
    gunicorn = [python, "-c", "from gunicorn.app.wsgiapp import run; run()"]
    worker = [python, "-m", "celery", "--app", "wsgi:celery", "--workdir", ROOT, "worker", "--concurrency", "2"]
    with ExitStack() as running:
        folder = running.enter_context(server_folder())
        if celery:
            log = folder / "celery"
            log.mkdir()
            pid = log / "worker.pid"
            extra = ["--beat"] if beat else []
            running.enter_context(serve([*worker, "--pidfile", pid, *extra], folder=log, env=env, is_ready=pid.exists))
        running.enter_context(
            serve(
                [*gunicorn, "--chdir", ROOT, "--config", ROOT / "gunicorn.py", "wsgi:app"],
                folder=folder,
                env=env,
                is_ready=lambda: _is_ready(url),
            )
        )
        yield url


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
