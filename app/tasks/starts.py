"""A search begun several times, each time from another seed: here one after the other, or in tasks of their own.

What a finished search leaves is the state of its solver. From that the answer follows at once and to the last bit, so
that it does not matter where the search was done.
"""

from collections.abc import Callable
from typing import Any, Protocol

import structlog

from app.tasks import fan_out
from app.tasks.claim import Claim
from app.tasks.fan_out import Watch
from app.viewModels.optimizations import LARGEST_SEED
from engine.optimize import Optimum, Step
from engine.process_optimum import ProcessOptimum
from engine.solvers.state import SolverStateError, State
from engine.stages import ProcessStep

log = structlog.get_logger(__name__)

AnyStep = Step | ProcessStep
Found = Optimum | ProcessOptimum

APART = 10_007
"""How far the seeds of two starts are apart: a process solved in stages counts its seed up, stage by stage."""

_NOW = "now"


class Search(Protocol):
    """A search from a seed, from a state on if one is given, telling every step."""

    def __call__(self, seed: int, resume: State | None, on_step: Callable[[AnyStep], None] | None) -> Found:
        """Return what is found."""


def seed_of(seed: int, start: int) -> int:
    """Return the seed of a start; the first one's is that of the whole."""
    return (seed + APART * start) % (LARGEST_SEED + 1)


def resumed(
    search: Search, seed: int, state: State | None, on_step: Callable[[AnyStep], None]
) -> tuple[Found, State | None]:
    """Search on from a state, or from the beginning. Returns what was found, and the state at the end."""
    last: list[AnyStep] = []

    def tell(step: AnyStep) -> None:
        last[:] = [step]
        on_step(step)

    try:
        found = search(seed, state, tell)
    except SolverStateError as error:
        if state is None:
            raise
        log.warning("checkpoint_of_another_run", error=str(error))  # of another version of this program
        return resumed(search, seed, None, on_step)
    return found, last[0].state() if last else state


class Starts:
    """The starts of a claimed optimization: those that are finished, and the one that is being searched.

    Args:
        claim: the task.
        search: what is begun several times.
        seed: of the first.
        n: how many there are.
    """

    def __init__(self, claim: Claim, search: Search, *, seed: int, n: int) -> None:
        self.claim, self.search, self.seed, self.n = claim, search, seed, n
        self.kept = claim.checkpoints.load() or {}
        self.has_parts = False
        for part, found in fan_out.found(claim):
            self.has_parts = True
            self._keep(part.payload["start"], found)
        self.watch, self.n_fitted = Watch(len(self.missing())), 0

    def missing(self) -> list[int]:
        """Return the starts that are not finished."""
        return [k for k in range(self.n) if self._state(k) is None]

    def all(self) -> list[Found]:
        """Return what each start has found.

        Raises:
            WorthFanningOut: those that are left take so long that they shall be tasks of their own.
        """
        return [self._one(k) for k in range(self.n)]

    def save(self) -> None:
        """Keep those that are finished: this worker lets go."""
        self.claim.checkpoints.save(lambda: self.kept, at_once=True)

    def _one(self, k: int) -> Found:
        if (state := self._state(k)) is not None:
            return self.search(seed_of(self.seed, k), state, None)
        found, state = resumed(self.search, seed_of(self.seed, k), self._begun(k), lambda step: self._tell(k, step))
        self.n_fitted += 1
        self._keep(k, state or {})
        self.claim.checkpoints.save(lambda: self.kept)
        return found

    def _tell(self, k: int, step: AnyStep) -> None:
        share = step.evaluations / step.budget
        self.claim.checkpoints.save(lambda: self.kept | _named(f"{_NOW}{k}", step.state()))
        self.claim.step((k + share) / (self.n + 1), start=k, **about(step))
        self.watch.look(self.n_fitted + share)

    def _keep(self, k: int, state: State) -> None:
        self.kept = {name: each for name, each in self.kept.items() if not name.startswith(_NOW)}
        self.kept |= _named(str(k), state)

    def _state(self, k: int) -> State | None:
        return _with_name(self.kept, str(k))

    def _begun(self, k: int) -> State | None:
        return _with_name(self.kept, f"{_NOW}{k}")


def best_of(found: list[Found]) -> int:
    """Return which is the best: what keeps all limits before what does not, then what breaks them less or is better."""
    return min(range(len(found)), key=lambda k: (found[k].total_violation, found[k].objective, k))


def told(found: list[Found], seed: int) -> list[dict[str, Any]]:
    """Return what is told of each start."""
    return [
        {
            "seed": seed_of(seed, k),
            "objective": each.objective,
            "is_feasible": each.is_feasible,
            "total_violation": each.total_violation,
            "evaluations": each.evaluations,
        }
        for k, each in enumerate(found)
    ]


def about(step: AnyStep) -> dict[str, Any]:
    """Return what a watcher wants to know of a step."""
    volume = {} if step.hypervolume is None else {"hypervolume": step.hypervolume}
    return {
        "evaluations": step.evaluations,
        "best_objective": step.objective,
        "best_violation": step.violation,
        **stage_of(step),
        **volume,
    }


def stage_of(step: AnyStep) -> dict[str, Any]:
    """Return what of a process is being solved."""
    return {"stage": step.stage} if isinstance(step, ProcessStep) else {}


def _named(prefix: str, state: State) -> State:
    return {f"{prefix}.{name}": each for name, each in state.items()}


def _with_name(kept: State, prefix: str) -> State | None:
    found = {name.removeprefix(f"{prefix}."): each for name, each in kept.items() if name.startswith(f"{prefix}.")}
    return found or None
