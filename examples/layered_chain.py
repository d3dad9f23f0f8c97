"""A chain small enough to be solved by hand: greedy top-down misses its optimum, talks and one search of all find it.

A plant shares out what comes in: a share u goes to the first line, the rest to the second. The module on top knows only
what each line brings, and would like 0.9 of both, the second four times as much:

    split    p = u, q = 1 - u                         0 <= u <= 1
    top      cost = (p - 0.9)^2 + 4 (q - 0.9)^2       smallest where p = q = 0.9, which the split can never give

With q = 1 - p the cost is (u - 0.9)^2 + 4 (0.1 - u)^2, so that the joint optimum is u = 0.26 at a cost of 0.512.

Run it from the repository root with ``.venv/bin/python -m examples.layered_chain``, or paste it cell by cell.
"""

import numpy as np

from engine.problem import Problem, Term, Variable
from engine.process import Module, ModuleInput, ProcessGraph
from engine.process_model import ProcessModel
from engine.process_optimum import optimize_process

BY_HAND = (0.9 + 4 * 0.1) / 5  # where the derivative of the cost is 0


# %% A model is anything with inputs, outputs and predict. Range of its inputs and spread of its outputs are told here
# as by a trained model: targets are looked for within the one, and misses are counted in the other
class Split:
    """Shares out what comes in."""

    inputs, outputs = ("u",), ("p", "q")
    input_ranges, output_sd = np.array([[0.0, 1.0]]), np.array([0.3, 0.6])

    def predict(self, X):
        """Return both shares for each row."""
        u = np.asarray(X, dtype=float)[:, 0]
        return np.column_stack([u, 1 - u])


class Top:
    """Wants 0.9 of both lines."""

    inputs, outputs = ("p", "q"), ("cost",)
    input_ranges, output_sd = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1.0])

    def predict(self, X):
        """Return the cost of each row."""
        p, q = np.asarray(X, dtype=float).T
        return ((p - 0.9) ** 2 + 4 * (q - 0.9) ** 2)[:, None]


# %% The process: two modules, two links between them, one input from outside
graph = ProcessGraph(
    (
        Module("top", (ModuleInput("p", "link", "split"), ModuleInput("q", "link", "split")), ("cost",)),
        Module("split", (ModuleInput("u"),), ("p", "q")),
    )
)
process = ProcessModel(graph, {"top": Top(), "split": Split()})
problem = Problem([Variable("u", 0, 1)], terms=[Term("minimize", "cost")])

# %% The same problem in three ways
answers = {
    mode: optimize_process(process, problem, mode=mode, solver="de", budget=budget, seed=1)
    for mode, budget in (("cascade", 4000), ("negotiated", 12_000), ("joint", 4000))
}

# %% What each promises for the cost, and what the composed models say that it gives
by_hand = (BY_HAND - 0.9) ** 2 + 4 * (0.1 - BY_HAND) ** 2
print(f"by hand     u = {BY_HAND:.3f}, cost {by_hand:.3f}")
for mode, answer in answers.items():
    print(f"{mode:<11} u = {answer.inputs['u']:.3f}, promised {answer.promised:.3f}, gives {answer.objective:.3f}")

# %% Why: the top asked for what the split cannot give together. Counted in spreads, a miss of q is the cheaper one for
# the split, but not for the top
for link in answers["cascade"].links:
    print(
        f"cascade     {link.source_tag}: wanted {link.target:.2f}, got {link.reached:.2f},"
        f" off by {abs(link.miss):.2f} or {abs(link.miss_sd):.2f} sd"
    )

# %% In the talks the top hears of it, and comes to meet what can be had
for step in answers["negotiated"].rounds[::3]:
    print(f"round {step.number:<4}  worst miss {step.worst_miss_sd:.3f} sd, gives {step.objective:.3f}")
