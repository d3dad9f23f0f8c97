"""The engine alone, as in a notebook: from a plant table to the inputs that need the least steam, without a server.

Run it from the repository root with ``.venv/bin/python -m examples.notebook``, or paste it cell by cell.
"""

from pathlib import Path

import numpy as np

from engine.neighbors import History
from engine.optimize import minimize
from engine.problem import Problem, Term, Variable
from engine.surrogates import fit
from engine.tables import DerivedTag, complete_matrix, derive, read_table
from engine.trust import DistanceEnvelope
from engine.validation import Validation, cross_validate, folds

INPUTS = ["1JT66801S", "S833", "S831", "S634", "S11", "FW606", "FW463"]  # power (MW), steam, condenser, feedwater

# %% The table: tags that are no identifiers stand in backticks
table = read_table(Path(__file__).parent / "coal_unit" / "data.csv", "csv")
table = derive(table, [DerivedTag("ssc", "`1FWS-STMFLW-A` / `1JT66801S`"), DerivedTag("day", part="day")])
print(*(note.message for note in table.notes), sep="\n")

# %% How well is a day predicted that the model has not seen? ssc is in klb/MWh
M, _ = complete_matrix(table.frame, [*INPUTS, "ssc", "day"])
X, Y, days = M[:, :-2], M[:, -2:-1], M[:, -1]
by_day = folds(Validation("group", group="day"), len(X), groups=days)
score = cross_validate("extra_trees", X, Y, by_day, inputs=INPUTS, outputs=["ssc"]).scores["ssc"]
print(f"{len(X)} rows, days not seen: R2 {score['r2']:.3f}, RMSE {score['rmse']:.3f} klb/MWh")

# %% The inputs that need the least steam at 200 MW, each on its own within what was measured
model = fit("extra_trees", X, Y, inputs=INPUTS, outputs=["ssc"])
fixed = {"1JT66801S": 200.0}
ranges = zip(model.inputs, model.input_ranges, strict=True)
free = [Variable(tag, lower, upper) for tag, (lower, upper) in ranges if tag not in fixed]
problem = Problem(free, fixed, [Term("minimize", "ssc")])
best = minimize(problem, model, solver="de", budget=2000, seed=1)
print(f"{best.objective:.3f} klb/MWh with", {tag: round(value, 1) for tag, value in best.inputs.items()})

# %% Has the plant ever been near there?
history = History(X, INPUTS)
rows, distances = history.nearest(list(best.inputs.values()), k=5)
print(f"nearest row {distances[0]:.2f} sd away, where rows lie {history.spacing():.2f} apart")
usual = np.median(Y[np.abs(X[:, 0] - 200) < 2, 0])
print(f"measured at 200 MW: {usual:.3f} in the median; promised saving {usual - best.objective:.3f}")

# %% It has not: so stay where the model has seen enough, which is a limit like any other, and look at the saving again
envelope = DistanceEnvelope.fit(X, INPUTS)
trusted = minimize(problem, model, solver="de", budget=2000, seed=1, envelope=envelope)
print(f"{trusted.objective:.3f} klb/MWh with", {tag: round(value, 1) for tag, value in trusted.inputs.items()})
print(f"nearest row {trusted.trust['nearest'][0]['distance']:.2f} sd away; saving {usual - trusted.objective:.3f}")
