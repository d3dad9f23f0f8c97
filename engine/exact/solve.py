"""The process in which a program is solved: ``python -m engine.exact.solve <way> < program.npz > answer.json``.

A process of its own, so that it can be ended whatever the solver does, and ends itself when its parent is gone.
"""

import io
import json
import os
import sys
import threading
from typing import Any

import numpy as np

RELATIVE_GAP = 1e-6

OPTIMAL, LIMIT, INFEASIBLE = 0, 1, 2
"""What ``status`` says."""


def main() -> None:
    """Solve the program on standard input."""
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as arrays:
        answer = WAYS[sys.argv[1]](dict(arrays))
    sys.stdout.write(json.dumps(answer))


def solve(program: dict[str, Any]) -> dict[str, Any]:
    """Return what HiGHS says of a program: status, point, value and bound; None for what it does not know."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    c, A = program["c"], _matrix(program)
    found = milp(
        c,
        constraints=LinearConstraint(A, program["lower"], program["upper"]) if A.shape[0] else (),
        integrality=program["is_integer"],
        bounds=Bounds(np.zeros(len(c)), program["most"]),
        options={"time_limit": float(program["time_limit"]), "mip_rel_gap": RELATIVE_GAP},
    )
    bound = getattr(found, "mip_dual_bound", None)
    if found.status == 0 and bound is None:  # without a choice to make, the optimum is the bound
        bound = found.fun
    return {
        "status": int(found.status),
        "x": None if found.x is None else found.x.tolist(),
        "value": None if found.x is None else float(found.fun),
        "bound": float(bound) if bound is not None and np.isfinite(bound) else None,
    }


def relax(program: dict[str, Any]) -> dict[str, Any]:
    """Return what HiGHS says of a program whose columns may all take fractions: status, point, bound, reduced costs.

    The bound is not the solver's own: it is computed from the solver's prices of the rows, and holds whatever they are
    (weak duality), so that no tolerance of the solver enters it. A solution whose column j is 1 has an objective of at
    least bound + max(0, reduced cost j); one whose column j is 0 instead of 1, at least bound - min(0, reduced cost j).
    """
    from scipy.optimize import linprog
    from scipy.sparse import vstack

    c, A, lower, upper = program["c"], _matrix(program), program["lower"], program["upper"]
    is_equal = lower == upper
    has_upper, has_lower = np.isfinite(upper) & ~is_equal, np.isfinite(lower) & ~is_equal
    A_ub = vstack([A[has_upper], -A[has_lower]], format="csr")
    b_ub = np.concatenate([upper[has_upper], -lower[has_lower]])
    A_eq, b_eq = A[is_equal], upper[is_equal]
    found = linprog(
        c,
        A_ub=A_ub,
        b_ub=b_ub,
        A_eq=A_eq,
        b_eq=b_eq,
        bounds=np.column_stack([np.zeros(len(c)), program["most"]]),
        method="highs-ds",
        options={"time_limit": float(program["time_limit"]), "presolve": False},
    )
    if found.status != 0:
        return {"status": int(found.status), "x": None, "bound": None, "reduced": None}
    prices, prices_eq = np.minimum(found.ineqlin.marginals, 0.0), found.eqlin.marginals
    reduced = c - A_ub.T @ prices - A_eq.T @ prices_eq
    bound = prices @ b_ub + prices_eq @ b_eq + np.minimum(reduced, 0.0) @ program["most"]
    return {"status": 0, "x": found.x.tolist(), "bound": float(bound), "reduced": reduced.tolist()}


def _matrix(program: dict[str, Any]) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(program["lower"]), len(program["c"]))
    return csr_matrix((program["values"], (program["rows"], program["columns"])), shape=shape)


def _end_with(parent: int) -> None:
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(1.0)
    os._exit(1)


WAYS = {"solve": solve, "relax": relax}

if __name__ == "__main__":
    main()
