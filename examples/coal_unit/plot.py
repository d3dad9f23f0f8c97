"""The convergence plot: how the best value so far fell, evaluation by evaluation."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # draws into a file and needs no display

import matplotlib.pyplot as plt

BLUE, GRAY = "#1f5fa8", "#6b7280"


def draw(optimum: dict[str, Any], path: Path) -> None:
    """Draw the best value so far against evaluations, beside what was measured."""
    goal, fixed, before = optimum["objective"], optimum["fixed"], optimum["before"]
    evaluations = [point["evaluations"] for point in optimum["curve"]]
    best = [point["best"] for point in optimum["curve"]]

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.step(evaluations, best, where="post", color=BLUE, linewidth=2)
    axes.plot(evaluations[-1], best[-1], "o", color=BLUE)
    _label(axes, best[-1], f"best found: {best[-1]:.3f}", BLUE)
    for key, words, dashes in (("median", "median of", "--"), ("best", "best of", ":")):
        axes.axhline(before[key], color=GRAY, linewidth=1, linestyle=dashes)
        _label(axes, before[key], f"{words} the {before['n_rows']} nearest measured rows: {before[key]:.3f}", GRAY)

    axes.set_xscale("log")  # most is won at the beginning
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(f"{goal['goal'].capitalize()} {goal['tag']} at {fixed['value']:g} {fixed['unit']}", loc="left")
    axes.set_xlabel("evaluations of the model")
    axes.set_ylabel(f"{goal['tag']}, best so far [{goal['unit']}]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02, y=0.12)
    figure.savefig(path, dpi=150, format="png")
    plt.close(figure)


def _label(axes: plt.Axes, value: float, words: str, color: str) -> None:
    """Write beside a height of the plot, at its right edge."""
    axes.annotate(
        words,
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        color=color,
        fontsize=9,
    )
