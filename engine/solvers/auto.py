"""The solver for those who do not want to choose: it looks at what it searches, and hands over to what serves it.

    first       descents by gradients (``local``), for as long as they earn it: on smooth surfaces nothing is faster
    then        CMA-ES with restarts from the best point, where the surface has slopes and no limits are broken
    or          differential evolution, on surfaces of flat pieces (tree ensembles), over variables with levels, and
                where limits are broken: it needs no slope, and keeps its population spread along what is feasible

Several objectives are another matter: ``engine.run.choose`` gives them to NSGA-II or, from three on, NSGA-III.

The rule was chosen by the benchmarks on BBOB, CEC 2006 and tree ensembles (docs/benchmarks.md).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from engine.errors import EngineError
from engine.solvers.base import Solver, saved_arrays
from engine.solvers.cmaes import CovarianceAdaptation
from engine.solvers.de import DifferentialEvolution
from engine.solvers.local import Local
from engine.solvers.ranking import Floats
from engine.solvers.state import SolverStateError, State, generator_from_json, generator_to_json

LOCAL_MOST = 100
"""Evaluations a variable that descents get. The whole of a small budget, a little of a large one."""

PARTS: Mapping[str, type[Solver]] = {"local": Local, "cmaes": CovarianceAdaptation, "de": DifferentialEvolution}


class Auto(Solver):
    """A portfolio of solvers, one after the other. See the module for the rule."""

    name = "auto"

    _LAYOUT: ClassVar[Mapping[str, tuple[type, str]]] = {"broken": (np.float64, "one")}

    @property
    def at_work(self) -> str:
        """The solver that is at work."""
        return self._part.name

    def _start(self, c: int) -> None:
        self._broken = np.zeros(1)  # points told that broke a limit
        self._part = self._made("local" if self.space.is_real else "de", self.budget, self._starts)

    def _propose(self) -> Floats:
        return self._part._propose()

    def _learn(self, U: Floats, f: Floats, v: Floats) -> None:
        self._part._evaluations += len(U)
        self._part._best = self._best
        self._part._learn(U, f, v)
        self._broken += int((v > 0).sum())
        if self._part.name == "local":
            self._hand_over()

    def _hand_over(self) -> None:
        """Let another solver go on once descents are not what is needed, or have had their share."""
        is_flat = isinstance(self._part, Local) and self._part.is_flat
        left = self.budget - self._evaluations
        if is_flat or self._broken[0] > 0:
            self._part = self._made("de", left, self._best_points())
        elif self._evaluations >= LOCAL_MOST * self.space.c:
            self._part = self._made("cmaes", left, self._best_points())

    def _best_points(self) -> Floats:
        best = self.result()
        return np.empty((0, self.space.c)) if best is None else self.space.to_cube(best.x[None])

    def _made(self, name: str, budget: int, starts: Floats) -> Solver:
        space = self.space
        part = PARTS[name](
            space.lower,
            space.upper,
            budget=max(1, budget),
            seed=int(self._rng.integers(2**32)),
            steps=space.steps,
            choices=space.choices,
            starts=space.to_box(starts) if len(starts) else None,
        )
        return part

    def state_dict(self) -> State:
        """Return the state, with that of the solver at work under the prefix ``part_``."""
        own = super().state_dict()
        part = self._part
        inner: dict[str, Any] = {
            "solver": part.name,
            "budget": part.budget,
            "evaluations": part._evaluations,
            "generator": generator_to_json(part._rng),
        } | {name: np.array(getattr(part, f"_{name}"), dtype) for name, (dtype, _) in part._LAYOUT.items()}
        return own | {f"part_{name}": value for name, value in inner.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a solver that goes on where ``state_dict`` was taken.

        Raises:
            SolverStateError: the state is of another solver or version, or damaged.
        """
        solver = super().from_state(state)
        inner = {key.removeprefix("part_"): value for key, value in state.items() if key.startswith("part_")}
        name = inner.get("solver")
        if not isinstance(name, str) or name not in PARTS:
            raise SolverStateError(f"the state is damaged: no solver {name!r} can be at work here")
        try:
            part = solver._made(name, inner["budget"], np.empty((0, solver.space.c)))
            part._evaluations = int(inner["evaluations"])
            part._rng = generator_from_json(inner["generator"])
        except (KeyError, TypeError, ValueError, EngineError) as error:
            raise SolverStateError(f"the state is damaged: {error}") from error
        saved_arrays(part, inner)
        part._best = solver._best
        solver._part = part
        solver._rng = generator_from_json(state["generator"])  # making the part has drawn from it
        return solver

    def _is_sound(self) -> bool:
        return len(self._broken) == 1 and bool(np.isfinite(self._broken).all())
