"""The plot of the modes: what each promises, what its models say together, and what the plant gives."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")  # draws into a file and needs no display

import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from examples.boiler_plant.modes import Line

SHADES = (("promised", "promised by the modules", "#c9d8ea"), ("composed", "the models composed", "#7ba3cf"))
TRUE, BROKEN = "#1f5fa8", "#c2410c"


def draw(told: Mapping[str, Sequence["Line"]], path: Path) -> None:
    """Draw, for each posing of the mill's current, the distances of each mode's objectives from the true optimum."""
    figure, all_axes = plt.subplots(
        len(told), 1, figsize=(9, 4.2 * len(told)), layout="constrained", sharex=True, squeeze=False
    )
    for axes, (posing, lines) in zip(all_axes[:, 0], told.items(), strict=True):
        _draw_posing(axes, lines)
        axes.set_title(f"mill current as an {posing}", loc="left")
    all_axes[-1, 0].set_xlabel("objective above the true optimum (lower is better; below it is a promise only)")
    figure.savefig(path, dpi=150, format="png")
    plt.close(figure)


def _draw_posing(axes: plt.Axes, lines: Sequence["Line"]) -> None:
    zero = lines[0].true
    names = [f"{line.mode}\n({line.models} models)" if line.models else line.mode for line in lines]
    places = range(len(lines))
    for i, (attribute, words, color) in enumerate(SHADES):
        values = [getattr(line, attribute) for line in lines]
        given = [(place, value - zero) for place, value in zip(places, values, strict=True) if value is not None]
        axes.barh(
            [place + 0.27 * (i - 1) for place, _ in given],
            [value for _, value in given],
            height=0.25,
            color=color,
            label=words,
        )
    for is_broken, color, words in ((False, TRUE, "what the plant gives"), (True, BROKEN, "the same, limits broken")):
        given = [(place, line.gap) for place, line in zip(places, lines, strict=True) if bool(line.broken) is is_broken]
        axes.barh(
            [place + 0.27 for place, _ in given], [gap for _, gap in given], height=0.25, color=color, label=words
        )
    for place, line in zip(places, lines, strict=True):
        axes.annotate(
            f"{line.fuel:.2f} t/h",
            (max(line.gap, 0), place + 0.27),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(list(places), names, fontsize=9)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
