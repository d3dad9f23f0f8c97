"""The layers in three ways as a plot: promise and truth, misses of the links, and what each change buys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from examples.coal_unit.plot import BLUE, GRAY  # it also sees to it that no display is needed

COLORS = {"cascade": "#b45309", "negotiated": "#6d4aa8", "joint": BLUE}
MOST_CHANGES = 6

Answers = Mapping[str, Any]  # mode -> ProcessOptimum


def draw_layers(answers: Mapping[float, Answers], points: Mapping[float, Mapping[str, Any]], path: Path) -> None:
    """Draw a column for each load: promised and given on top, then misses, then what the joint answer's changes buy."""
    figure, axes = plt.subplots(3, len(answers), figsize=(4.6 * len(answers), 9.5), layout="constrained", squeeze=False)
    for column, (load, found) in zip(axes.T, answers.items(), strict=True):
        column[0].set_title(f"{load:g} MW", loc="left")
        _promises(column[0], found)
        _misses(column[1], found)
        _changes(column[2], found["joint"].comparison)
        for each in column:
            each.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, format="png")
    plt.close(figure)


def _promises(axes: plt.Axes, found: Answers) -> None:
    """Draw what each mode promises (open) and what it would give (filled; a cross where it breaks a limit)."""
    for y, (mode, answer) in enumerate(found.items()):
        color = COLORS[mode]
        axes.plot([answer.promised, answer.objective], [y, y], color=color, linewidth=1.5)
        axes.plot(answer.promised, y, "o", color=color, markerfacecolor="white")
        axes.plot(answer.objective, y, "o" if answer.is_feasible else "X", color=color, markersize=8)
    now = found["joint"].comparison.objective
    axes.axvline(now, color=GRAY, linewidth=1, linestyle="--")
    axes.annotate("now", (now, 1), xycoords=("data", "axes fraction"), color=GRAY, fontsize=9, ha="center", va="bottom")
    axes.set_yticks(range(len(found)), found)
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("ssc: promised (open), given (filled) [klb/MWh]\ncross: breaks limits")


def _misses(axes: plt.Axes, found: Answers) -> None:
    """Draw by how much each link misses what was wanted of it."""
    modes = [mode for mode, answer in found.items() if any(link.target is not None for link in answer.links)]
    for k, mode in enumerate(modes):
        misses = {link.source_tag: link.miss_sd for link in found[mode].links if link.miss_sd is not None}
        places = [i + 0.38 * (k - (len(modes) - 1) / 2) for i in range(len(misses))]
        axes.barh(places, list(misses.values()), height=0.36, color=COLORS[mode], label=mode)
        axes.set_yticks(range(len(misses)), misses)
    axes.axvline(0, color=GRAY, linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("link: got - wanted [sd]")
    axes.legend(frameon=False, fontsize=9)


def _changes(axes: plt.Axes, compared: Any) -> None:
    """Draw what the changes that buy most buy, with what changes."""
    most = compared.changes[:MOST_CHANGES]
    axes.barh(range(len(most)), [change.buys for change in most], color=BLUE)
    axes.set_yticks(
        range(len(most)), [f"{each.tag}\n{each.before:.4g} to {each.after:.4g}" for each in most], fontsize=8
    )
    axes.invert_yaxis()
    axes.set_xlabel("bought by the joint answer's changes [klb/MWh]")
