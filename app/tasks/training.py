"""Training surrogates."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np

from app.extensions import object_store
from app.libs.enums import EventType, TaskKind
from app.tasks import fan_out
from app.tasks.claim import Claim
from app.tasks.fan_out import Watch, WorthFanningOut
from app.tasks.kept_fits import drop_fits, fits_of
from app.utils.object_store import ObjectInfo
from app.viewModels import model_objects, task_parts, training
from app.viewModels.training_rows import Rows
from engine.solvers.state import State
from engine.surrogates import Surrogate, calibrate, fit, measure_routes, save
from engine.surrogates.fits import FitsDone
from engine.surrogates.routes import routes_to_json
from engine.validation import CrossValidation, Fold, cross_validate


def train_model(claim: Claim) -> None:
    """Train the next queued model: validate it on rows held out, then learn from all rows and store the result.

    Folds that take long together become tasks of their own; their whole is claimed again when they are done.
    """
    started = time.perf_counter()
    order, rows = training.load(UUID(claim.payload["model_id"]))
    folds, kept = training.folds(order, rows), _KeptFolds(claim)
    if not kept.has_parts:
        claim.tell((EventType.LOG, _about(rows)))
    stages = _Stages(claim, folds, kept)
    try:
        validated = {stage: _validated(order, rows, stage, folds, stages, kept) for stage in folds}
    except WorthFanningOut:
        kept.save(seconds=time.perf_counter() - started)
        claim.wait_for(lambda: _submit_folds(claim, order, kept.missing(folds)))
        return
    # a kind that chooses does so by rows held out as its scores are: not by neighbors of those it has seen
    by = {"folds": folds["validate"], "fits": kept.fits("learn")}
    surrogate = fit(order.kind, rows.X, rows.Y, **order.learn, **by, on_step=stages.of("learn"))
    if validated["validate"].n_rows > 1:
        surrogate = calibrate(surrogate, validated["validate"], seed=order.seed, on_step=stages.of("calibrate"))
    routes = routes_to_json(measure_routes(surrogate, on_step=stages.of("measure")).form)
    metrics = training.metrics(
        order, rows, validated["validate"], validated.get("validate_at_random"), surrogate.intervals
    )
    scores = ((EventType.METRIC, _score_of(output, metrics)) for output in order.outputs)
    claim.tell(*scores, *((EventType.LOG, note) for note in metrics["notes"]))

    with stored(surrogate, order.model_id, claim.lease.fence) as artifact, claim.success() as result:
        seconds = kept.seconds + time.perf_counter() - started
        result.update(training.finish(order, surrogate, artifact, metrics=metrics, routes=routes, seconds=seconds))
    if kept.has_parts:
        task_parts.discard_all(claim.lease)


def train_fold(claim: Claim) -> None:
    """Fit the surrogate of one fold of a training, and keep what it predicts for the rows that it has not seen."""
    started = time.perf_counter()
    order, rows = training.load(UUID(claim.payload["model_id"]))
    folds, i = training.folds(order, rows)[claim.payload["stage"]], claim.payload["fold"]
    found: State = {}
    kept = claim.checkpoints.load() or {}
    cross_validate(
        order.kind,
        rows.X,
        rows.Y,
        folds,
        **order.learn,
        on_step=lambda share: claim.step(min(share * len(folds) - i, 1.0), stage=claim.payload["stage"], fold=i),
        known={k: np.zeros((len(test), len(order.outputs))) for k, (_, test) in enumerate(folds) if k != i},
        on_predicted=lambda _i, predictions: found.update(predictions=predictions),
        fits=lambda i: fits_of(claim.checkpoints, kept, f"{claim.payload['stage']}.{i}"),
    )
    fan_out.store(claim, found, seconds=time.perf_counter() - started)


def _validated(
    order: training.Order,
    rows: Rows,
    stage: str,
    folds: Mapping[str, list[Fold]],
    stages: "_Stages",
    kept: "_KeptFolds",
) -> CrossValidation:
    tell = stages.of(stage)

    def on_fold(n_done: int, n_folds: int) -> None:
        tell(n_done / n_folds)
        stages.look(stage, n_done)

    return cross_validate(
        order.kind,
        rows.X,
        rows.Y,
        folds[stage],
        **order.learn,
        on_fold=on_fold,
        on_step=tell,
        known=kept.of(stage),
        on_predicted=lambda i, predictions: kept.add(stage, i, predictions),
        fits=lambda i: kept.fits(f"{stage}.{i}"),
    )


def _submit_folds(claim: Claim, order: training.Order, missing: Iterable[tuple[str, int]]) -> list[UUID]:
    payloads = [{"model_id": str(order.model_id), "stage": stage, "fold": i} for stage, i in missing]
    return task_parts.submit(claim.lease, TaskKind.TRAIN_FOLD, payloads, subject_id=order.model_id)


class _KeptFolds:
    """The folds that are finished: those of parts, and in the checkpoint those that were fitted here.

    A worker that takes over fits none of them again. Of the fold under way, and of the last fit on all rows, it is
    the finished fits of their search that are kept, where the kind makes one.

    Attributes:
        has_parts: whether some were fitted in tasks of their own.
        seconds: how long all of them took.
    """

    def __init__(self, claim: Claim) -> None:
        self.checkpoints = claim.checkpoints
        self.state = self.checkpoints.load() or {}
        self.has_parts = False
        self.seconds = float(self.state.get("seconds", 0.0))
        for part, found in fan_out.found(claim):
            self.has_parts = True
            self.state[f"{part.payload['stage']}.{part.payload['fold']}"] = found["predictions"]
            self.seconds += part.result["seconds"]

    def of(self, stage: str) -> dict[int, np.ndarray]:
        """Return the held-out predictions of the finished folds of a stage."""
        named = {name.rpartition(".")[2]: each for name, each in self.state.items() if name.startswith(f"{stage}.")}
        return {int(i): predictions for i, predictions in named.items()}

    def missing(self, folds: Mapping[str, list[Fold]]) -> list[tuple[str, int]]:
        """Return the folds that are not finished, each with its stage."""
        return [(stage, i) for stage in folds for i in range(len(folds[stage])) if i not in self.of(stage)]

    def add(self, stage: str, i: int, predictions: np.ndarray) -> None:
        """Keep the predictions of one more fold, and no longer what led to them."""
        drop_fits(self.state)
        self.state[f"{stage}.{i}"] = predictions
        self.checkpoints.save(lambda: self.state)

    def fits(self, search: str) -> FitsDone:
        """Return the fits of the search within a fold, or of the last one, that are finished."""
        return fits_of(self.checkpoints, self.state, search)

    def save(self, *, seconds: float) -> None:
        """Keep the folds at once, with how long they took: this worker lets go of all that is left."""
        drop_fits(self.state)
        self.state["seconds"] = self.seconds + seconds
        self.checkpoints.save(lambda: self.state, at_once=True)


class _Stages:
    """How far a training is: each validation counts as many fits as it has folds, learning one, the rest a part."""

    def __init__(self, claim: Claim, folds: Mapping[str, list[Fold]], kept: _KeptFolds) -> None:
        self.claim = claim
        self.n_folds = {stage: len(folds[stage]) for stage in folds}
        self.weights = {**self.n_folds, "learn": 1.0, "calibrate": 0.25, "measure": 0.05}
        self.known = {stage: set(kept.of(stage)) for stage in folds}
        self.watch = Watch(len(kept.missing(folds)))
        self.floor = claim.lease.progress if kept.has_parts else 0.0  # its parts have told more already

    def of(self, stage: str) -> Callable[[float], None]:
        """Return what is told the share of this stage that is done."""
        names, total = list(self.weights), sum(self.weights.values())
        before = sum(self.weights[name] for name in names[: names.index(stage)])

        def step(share: float) -> None:
            folds = {}
            if stage in self.n_folds:
                at = round(share * self.n_folds[stage], 6)
                folds = {"folds_done": int(at), "n_folds": self.n_folds[stage]}
            done = (before + share * self.weights[stage]) / total
            self.claim.step(max(self.floor, done), stage=stage, **folds)
            if folds and at % 1:  # one that is fitted but not kept yet shall be kept first
                self.look(stage, at)

        return step

    def look(self, stage: str, at: float) -> None:
        """Look whether the rest takes long, where this fold of a stage is. Those that were known took no time.

        Raises:
            WorthFanningOut: the folds that are left shall be tasks of their own.
        """
        names = list(self.n_folds)
        earlier = sum(self.n_folds[name] - len(self.known[name]) for name in names[: names.index(stage)])
        self.watch.look(earlier + at - sum(i < at for i in self.known[stage]))


@contextmanager
def stored(surrogate: Surrogate, model_id: UUID, fence: int) -> Iterator[ObjectInfo]:
    """Put the model file into the object store; should the block fail, it is deleted again.

    The fence in the key keeps two workers apart, of which one has lost its lease without knowing it.
    """
    key = model_objects.key(model_id, fence)
    with tempfile.TemporaryDirectory(prefix="setpoint-") as folder:
        path = Path(folder) / "model.safetensors"
        save(surrogate, path)
        with path.open("rb") as stream:
            artifact = object_store.put(key, stream)
    try:
        yield artifact
    except BaseException:
        model_objects.discard_unowned(model_id, key)
        raise


def _about(rows: Rows) -> dict:
    message = f"Learning from {len(rows.X)} complete rows; {rows.n_dropped} rows that lack a value are left out."
    if rows.n_missing:
        message = (
            f"Learning from {len(rows.X)} rows, in which {rows.n_missing} missing cells are filled by a rule that is"
        )
        message += f" stored with the model; {rows.n_dropped} rows that lack an output or all inputs are left out."
    about = {"message": message, "n_rows": len(rows.X), "n_rows_dropped": rows.n_dropped}
    return {**about, "n_cells_imputed": rows.n_missing}


def _score_of(output: str, metrics: dict) -> dict:
    return {"output": output, **metrics["scores"][output], "validation": metrics["validation"]}
