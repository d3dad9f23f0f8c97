"""The modules of a process as the engine's graph, which holds what a process must be."""

from collections.abc import Sequence
from typing import Any

from app.models import Module
from app.viewModels import module_tags
from engine.process import ProcessGraph


def of(modules: Sequence[Module]) -> ProcessGraph:
    """Return the graph of these modules.

    Raises:
        ProcessGraphError: a name or an input is there twice, a link has no source, modules need each other in a circle.
    """
    return ProcessGraph.from_json(
        [
            {"name": module.name, "inputs": [_linked(i) for i in module.inputs], "outputs": module.outputs}
            for module in modules
        ]
    )


def _linked(given: dict[str, Any]) -> dict[str, Any]:
    """Return an input without what is seen of its past: the graph is the same with and without."""
    return {name: value for name, value in given.items() if name not in module_tags.HISTORY}
