"""A worker whose analyses misbehave: they eat memory, hang in native code, or write to a full disk."""

import ctypes
import re
import time

from app.libs.enums import TaskKind
from app.tasks import queues
from app.tasks.claim import Claim
from wsgi import celery

__all__ = ["celery"]


def misbehave(claim: Claim) -> None:
    """Do what the payload says."""
    {"eat": eat, "hang": hang, "freeze": freeze, "sleep": sleep, "work": work}[claim.payload["how"]](claim)


def eat(_claim: Claim) -> None:
    """Take memory, and touch it, without end."""
    taken = []
    while True:
        taken.append(bytearray(b"x" * 20_000_000))
        time.sleep(0.01)


def hang(_claim: Claim) -> None:
    """Stay in native code for an hour; other threads go on."""
    ctypes.CDLL(None).sleep(3600)


def freeze(_claim: Claim) -> None:
    """Stay in native code for years, without letting any other thread of this process run."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def work(claim: Claim) -> None:
    """Work for twenty seconds, and succeed."""
    for n in range(200):
        claim.step(n / 200)
        time.sleep(0.1)
    with claim.success() as result:
        result["done"] = True


def sleep(claim: Claim) -> None:
    """Work on, and notice when told to stop."""
    while True:
        claim.step(0.5)
        time.sleep(0.02)


queues.WORK[TaskKind.ANALYZE] = misbehave
