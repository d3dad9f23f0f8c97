"""The table of contents in the engine's docstring."""

import importlib
import pkgutil
import re

import engine

ENTRY = re.compile(r"^    (engine\.\w+) +([^:]+):", re.MULTILINE)


def test_every_name_in_the_contents_is_where_they_say():
    entries = ENTRY.findall(engine.__doc__)

    for module, names in entries:
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def test_the_contents_miss_no_public_module():
    inner = {
        f"engine.{name}"  # help of the other modules
        for name in (
            "attribution",
            "checks",
            "comparison",
            "fronts",
            "layered",
            "layers",
            "progress",
            "relaxation",
            "run",
            "stages",
        )
    }

    modules = {module.name for module in pkgutil.iter_modules(engine.__path__, "engine.")}

    assert {module for module, _ in ENTRY.findall(engine.__doc__)} == modules - inner
