"""The process in which a program is solved: ``python -m engine.exact.solve < program.npz > answer.json``.

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


def main() -> None:
    """Solve the program on standard input."""
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as arrays:
        answer = solve(dict(arrays))
    sys.stdout.write(json.dumps(answer))


def solve(program: dict[str, Any]) -> dict[str, Any]:
    """Return what HiGHS says of a program: status, point, value and bound; None for what it does not know."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    c = program["c"]
    shape = (len(program["lower"]), len(c))
    A = csr_matrix((program["values"], (program["rows"], program["columns"])), shape=shape)
    found = milp(
        c,
        constraints=LinearConstraint(A, program["lower"], program["upper"]) if shape[0] else (),
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


def _end_with(parent: int) -> None:
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(1.0)
    os._exit(1)


if __name__ == "__main__":
    main()
