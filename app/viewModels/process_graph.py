"""The modules of a process as the engine's graph, which holds what a process must be."""

from collections.abc import Sequence
from typing import Any

from app.models import Module


def of(modules: Sequence[Module]) -> Any:
    """Return the graph of these modules.

    Raises:
        ProcessGraphError: a name or an input is there twice, a link has no source, there is a cycle, ...
    """
    from engine.process import ProcessGraph

    return ProcessGraph.from_json([_spec(module) for module in modules])


def _spec(module: Module) -> dict[str, Any]:
    return {"name": module.name, "inputs": module.inputs, "outputs": module.outputs}
