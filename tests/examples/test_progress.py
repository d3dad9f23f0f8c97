"""How the example tells of tasks that do not end well, without a server."""

import importlib
import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

EXAMPLE = Path(__file__).parents[2] / "examples" / "coal_unit"


@pytest.fixture
def example(monkeypatch):
    """Import a module of the example as its script does."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == EXAMPLE:
            del sys.modules[name]


class Told:
    """A server that tells these events."""

    def __init__(self, *events):
        self._events = events

    def follow(self, _task_ids):
        yield from self._events


def event(type_, data, number=1):
    return {"task_id": "t1", "number": number, "type": type_, "at": 1000 * number, "data": data}


def watch(example, *events):
    return example("progress").watch(Told(*events), Console(file=io.StringIO()), {"t1": "Training boiler"})


def test_a_failed_task_is_told_with_its_reason(example):
    error = {"code": "model.training", "detail": "there are no rows to train on"}

    with pytest.raises(Exception, match="Training boiler failed") as told:
        watch(example, event("state", {"state": "running"}), event("state", {"state": "failed", "error": error}, 2))

    assert str(told.value) == "Training boiler failed: there are no rows to train on (model.training)."


def test_a_cancelled_task_is_told(example):
    with pytest.raises(Exception, match="Training boiler was cancelled"):
        watch(example, event("state", {"state": "cancelled"}))


def test_the_results_of_all_tasks_are_returned(example):
    results = watch(
        example,
        event("state", {"state": "running"}),
        event("progress", {"done": 0.5, "fold": 1, "n_folds": 2}, 2),
        event("result", {"model_id": "m1"}, 3),
        event("state", {"state": "succeeded"}, 4),
    )

    assert results == {"t1": {"model_id": "m1"}}
