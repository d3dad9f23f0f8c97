"""Solvers: minimize over a box with ``ask`` and ``tell``, on whole populations, under limits."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.errors import ParameterError
from engine.solvers.auto import Auto
from engine.solvers.base import Best, Solver, SolverMisuse
from engine.solvers.cmaes import CovarianceAdaptation
from engine.solvers.de import DifferentialEvolution
from engine.solvers.local import Local
from engine.solvers.nsga2 import NSGA2
from engine.solvers.nsga3 import NSGA3
from engine.solvers.pso import ParticleSwarm
from engine.solvers.state import SolverStateError, State, from_bytes, to_bytes

SOLVERS: Mapping[str, type[Solver]] = MappingProxyType(
    {
        solver.name: solver
        for solver in (Auto, ParticleSwarm, DifferentialEvolution, CovarianceAdaptation, Local, NSGA2, NSGA3)
    }
)


def find_solver(name: str) -> type[Solver]:
    """Return the solver of this name.

    Raises:
        ParameterError: there is none; the message lists those that there are.
    """
    if not isinstance(name, str) or name not in SOLVERS:
        raise ParameterError(
            f"there is no solver {name!r}; there are {', '.join(SOLVERS)}", parameter="solver", allowed=list(SOLVERS)
        )
    return SOLVERS[name]


def from_state(state: Mapping[str, Any]) -> Solver:
    """Return the solver whose ``state_dict`` this is, ready to go on.

    Raises:
        SolverStateError: the state is damaged or of an unknown solver.
    """
    name = state.get("solver") if isinstance(state, Mapping) else None
    if not isinstance(name, str) or name not in SOLVERS:
        raise SolverStateError(f"this is a state of solver {name!r}; there are {', '.join(SOLVERS)}")
    return SOLVERS[name].from_state(state)


__all__ = [
    "SOLVERS",
    "Best",
    "Solver",
    "SolverMisuse",
    "SolverStateError",
    "State",
    "find_solver",
    "from_bytes",
    "from_state",
    "to_bytes",
]
