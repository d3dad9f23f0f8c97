"""The solver for those who do not want to choose: it looks at what it searches, and lets that work which serves it.

    axes        first, where all variables are real: c + 2 points tell whether the objective is a sum of functions of
                one variable each, and if it is, those are searched one by one, all at once
    local       then descents by gradients: on smooth surfaces nothing is faster
    cmaes       after the first descents by turns with more of them, evaluation for evaluation: CMA-ES with restarts
                sees the large valley behind the small ones
    de          for the rest of the budget instead of all these, over variables with levels, where a limit is broken,
                and on surfaces of flat pieces (tree ensembles): it needs no slope, and keeps its population spread
                along what is feasible

Several objectives are another matter: ``engine.run.choose`` gives them to NSGA-II or, from three on, NSGA-III.

The rule was chosen by the benchmarks on BBOB, CEC 2006 and tree ensembles (docs/benchmarks.md).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from engine.solvers.axes import Axes
from engine.solvers.base import Solver
from engine.solvers.cmaes import CovarianceAdaptation
from engine.solvers.de import DifferentialEvolution
from engine.solvers.local import Local
from engine.solvers.ranking import Floats
from engine.solvers.state import SolverStateError, State

LEAST_FOR_AXES = 4
"""Evaluations a variable below which it is not worth asking whether the objective is a sum."""

FIRST_DESCENTS, LOCAL_MOST = 2, 100
"""Descents before CMA-ES comes in; one is enough if it took LOCAL_MOST evaluations a variable."""

PARTS: Mapping[str, type[Solver]] = {
    part.name: part for part in (Axes, Local, CovarianceAdaptation, DifferentialEvolution)
}

GAMES = (["axes"], ["local"], ["local", "cmaes"], ["de"])
"""Those that can be in the game together."""

_SHARED = ("version", "n_objectives", "lower", "upper", "steps", "choices", "best_x", "best_value")


class Auto(Solver):
    """A portfolio of solvers, after one another and by turns. See the module for the rule."""

    name = "auto"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {
        "is_broken": (np.bool_, ""),  # whether a point broke a limit
        "n_first": (np.int64, ""),  # descents before CMA-ES comes in
        "n_before": (np.int64, ""),  # evaluations of descents until it did
    }

    @property
    def at_work(self) -> str:
        """The solver that is at work."""
        return self._at_work

    def _start(self, c: int) -> None:
        self._is_broken, self._n_first, self._n_before = False, FIRST_DESCENTS, 0
        self._parts: dict[str, Solver] = {}
        if not self.space.is_real:
            self._go_on_with("de", self._starts)
        else:
            self._go_on_with("axes" if self.budget > LEAST_FOR_AXES * c else "local", self._starts)

    def _propose(self) -> Floats:
        return self._parts[self._at_work]._propose()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        part = self._parts[self._at_work]
        part._evaluations += len(U)
        part._best = self._best
        part._learn(U, f, v)
        self._is_broken = self._is_broken or bool((v > 0).any())
        self._choose(part)

    # The rule

    def _choose(self, part: Solver) -> None:
        """Set who goes on."""
        if isinstance(part, DifferentialEvolution):
            return
        if self._is_broken or (isinstance(part, Local) and part.is_flat):
            self._parts.clear()
            self._go_on_with("de", self._best_points())
        elif isinstance(part, Axes):
            if part.is_over:
                self._n_first = 1 if part.was_additive else FIRST_DESCENTS
                self._parts.clear()
                self._go_on_with("local", np.concatenate([self._best_points(), self._starts]))
        elif not isinstance(part, Local) or (part.is_between_descents and self._has_descended(part)):
            self._take_turns(self._parts["local"], self._parts.get("cmaes"))

    def _has_descended(self, local: Local) -> bool:
        is_long = local.evaluations >= LOCAL_MOST * self.space.c
        return is_long or local.n_descents >= self._n_first

    def _take_turns(self, local: Solver, cmaes: Solver | None) -> None:
        if cmaes is None:
            self._n_before = local.evaluations
        is_its_turn = cmaes is None or cmaes.evaluations <= local.evaluations - self._n_before
        self._go_on_with("cmaes" if is_its_turn else "local", self._best_points())

    def _go_on_with(self, name: str, starts: Floats) -> None:
        if name not in self._parts:
            self._parts[name] = self._made(name, starts)
        self._at_work = name

    def _made(self, name: str, starts: Floats) -> Solver:
        space = self.space
        return PARTS[name](
            space.lower,
            space.upper,
            budget=self.budget - self._evaluations,
            seed=int(self._rng.integers(2**32)),
            steps=space.steps,
            choices=space.choices,
            starts=space.to_box(starts) if len(starts) else None,
        )

    def _best_points(self) -> Floats:
        best = self.result()
        return np.empty((0, self.space.c)) if best is None else self.space.to_cube(best.x[None])

    # State

    def state_dict(self) -> State:
        """Return the state, with those of the solvers that are in the game under their names: ``local_x`` is its x."""
        own = super().state_dict() | {"parts": list(self._parts), "at_work": self._at_work}
        for name, part in self._parts.items():
            own |= {f"{name}_{key}": value for key, value in part.state_dict().items() if key not in _SHARED}
        return own

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a solver that goes on where ``state_dict`` was taken.

        Raises:
            SolverStateError: the state is of another solver or version, or damaged.
        """
        solver = super().from_state(state)
        names, at_work = state.get("parts"), state.get("at_work")
        if not isinstance(names, list) or names not in GAMES or not isinstance(at_work, str) or at_work not in names:
            raise SolverStateError(f"the state is damaged: {at_work!r} of {names!r} cannot be at work here")
        solver._parts = {name: PARTS[name].from_state(_state_of(name, state)) for name in names}
        solver._at_work = at_work
        return solver

    def _is_sound(self) -> bool:
        return self._n_before >= 0 and self._n_first >= 1


def _state_of(name: str, state: Mapping[str, Any]) -> State:
    """Return the state of a part, from that of the whole."""
    own = {key.removeprefix(f"{name}_"): value for key, value in state.items() if key.startswith(f"{name}_")}
    return {**own, **{key: state[key] for key in _SHARED}}
