"""The fits of a search for a surrogate, kept in the checkpoint of the task that makes it.

A kind that chooses makes dozens of fits where others make one. A worker that takes over does none of them again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import structlog

from app.tasks import checkpoints
from app.tasks.checkpoints import Checkpoints
from engine.solvers.state import State
from engine.surrogates.fits import FitsDone

log = structlog.get_logger(__name__)

PREFIX = "fits."
"""What begins with it is of a search that is not over, and nothing else does."""

ROOM = checkpoints.LARGEST - 2**20
"""Bytes of arrays: what is left is for their names and for values."""


def fits_of(kept: Checkpoints, state: State, search: str) -> FitsDone:
    """Return the fits of a search that are in this state of a task; those that it does now are added, and kept.

    One that has no room beside what is there is left out: it will be done again, and nothing else will be lost.

    Args:
        search: its name, of its own within the state.
    """
    prefix = f"{PREFIX}{search}."

    def add(found: State) -> None:
        if _n_bytes(state) + _n_bytes(found) > ROOM:
            log.warning("fit_not_kept", search=search, n_bytes=_n_bytes(found), room=ROOM)
            return
        state.update({prefix + name: each for name, each in found.items()})
        kept.save(lambda: state)

    known = {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
    return FitsDone(known, add)


def drop_fits(state: State) -> None:
    """Take the fits out of a state: the search is over, or goes on elsewhere."""
    for name in [name for name in state if name.startswith(PREFIX)]:
        del state[name]


def _n_bytes(state: Mapping[str, Any]) -> int:
    return sum(each.nbytes for each in state.values() if isinstance(each, np.ndarray))
