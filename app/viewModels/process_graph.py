"""The modules of a process as the engine's graph, which holds what a process must be."""

from collections.abc import Sequence

from app.models import Module
from engine.process import ProcessGraph


def of(modules: Sequence[Module]) -> ProcessGraph:
    """Return the graph of these modules.

    Raises:
        ProcessGraphError: a name or an input is there twice, a link has no source, modules need each other in a circle.
    """
    return ProcessGraph.from_json(
        [{"name": module.name, "inputs": module.inputs, "outputs": module.outputs} for module in modules]
    )
