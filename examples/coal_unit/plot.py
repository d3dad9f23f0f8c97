"""The convergence plot: how the best value so far fell, evaluation by evaluation."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # draws into a file and needs no display

import matplotlib.pyplot as plt

BLUE, LIGHT, GRAY = "#1f5fa8", "#7fa8d6", "#6b7280"


def draw(optimum: dict[str, Any], joint: dict[str, Any], path: Path) -> None:
    """Draw the best value so far against evaluations: of the upper module, of all layers, beside what was measured."""
    goal, fixed, before = optimum["objective"], optimum["fixed"], optimum["before"]
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for answer, color, words in ((optimum, LIGHT, "promised by the upper module alone"), (joint, BLUE, "all layers")):
        best = _search(axes, answer["curve"], color)
        _label(axes, best, f"{words}: {best:.3f}", color, above=-14)
    for key, words, dashes in (("median", "median of", "--"), ("best", "best of", ":")):
        axes.axhline(before[key], color=GRAY, linewidth=1, linestyle=dashes)
        _label(axes, before[key], f"{words} the {before['n_rows']} nearest measured rows: {before[key]:.3f}", GRAY)

    axes.set_xscale("log")  # most is won at the beginning
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(f"{goal['goal'].capitalize()} {goal['tag']} at {fixed['value']:g} {fixed['unit']}", loc="left")
    axes.set_xlabel("evaluations")
    axes.set_ylabel(f"{goal['tag']}, best so far [{goal['unit']}]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02, y=0.12)
    figure.savefig(path, dpi=150, format="png")
    plt.close(figure)


def _search(axes: plt.Axes, curve: list[dict[str, Any]], color: str) -> float:
    """Draw how the best value fell from the first point that kept all limits, and return it."""
    kept = [point for point in curve if not point["violation"]] or curve
    evaluations, best = [point["evaluations"] for point in kept], [point["best"] for point in kept]
    axes.step(evaluations, best, where="post", color=color, linewidth=2)
    axes.plot(evaluations[-1], best[-1], "o", color=color)
    return float(best[-1])


def _label(axes: plt.Axes, value: float, words: str, color: str, above: int = 4) -> None:
    """Write beside a height of the plot, at its right edge."""
    axes.annotate(
        words,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, above),
        textcoords="offset points",
        ha="right",
        color=color,
        fontsize=9,
    )
