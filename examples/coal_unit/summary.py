"""The report in words and tables, as a plant engineer would ask for it."""

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]

MOST_CHANGES = 6
"""Changes that are told one by one; the others are few hundredths of a percent."""


def show(console: Console, report: Json) -> None:
    """Print the whole summary."""
    optimum = report["optimum"]
    goal, fixed = optimum["objective"], optimum["fixed"]
    asked = f"{goal['goal']} {goal['tag']} [{goal['unit']}] at {fixed['value']:g} {fixed['unit']}"
    joint = report["joint"]
    for title, part in (
        ("Modules: how well each predicts days that it was not trained on", modules(report["modules"])),
        (f"The upper module alone: {asked}", before_and_after(optimum)),
        ("What it would be set to", settings(optimum)),
        ("How far to trust it", trust(optimum)),
        (f"All layers at once: {asked}", now_and_then(joint, optimum)),
        ("What to set, and what each change buys", changes(joint)),
        ("What the lower layers then give", links(joint)),
        ("How far to trust it", trust(joint)),
    ):
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(part, (0, 0, 0, 2), expand=False))
    console.print()


def modules(trained: list[Json]) -> Table:
    """Return a row for each output of each module."""
    table = _table("Module", ">Rows", ">Seconds", "Output", ">R2 by day", ">RMSE by day", "Unit")
    for module in trained:
        first = (module["name"], str(module["n_rows"]), f"{module['seconds']:.1f}")
        for k, output in enumerate(module["outputs"]):
            scores = (f"{output['r2']:.3f}", _number(output["rmse"]))
            table.add_row(*(first if k == 0 else ("", "", "")), output["tag"], *scores, output["unit"])
    return table


def before_and_after(optimum: Json) -> RenderableType:
    """Return what is saved, and against what."""
    before, saving, fixed, unit = optimum["before"], optimum["saving"], optimum["fixed"], optimum["objective"]["unit"]
    low, high = before["fixed_range"]
    nearby = f"median of the {before['n_rows']} measured 10-minute rows nearest to {fixed['value']:g} {fixed['unit']}"
    table = _grid(
        ("before", f"{before['median']:.3f} {unit}", f"{nearby} ({low:.1f} to {high:.1f})"),
        ("", f"{before['best']:.3f} {unit}", "best of these rows"),
        ("after", f"{optimum['after']:.3f} {unit}", "predicted by the model"),
        ("saving", f"{saving['gain']:.3f} {unit}", f"{saving['percent']:.1f} % of the median"),
    )
    return Group(table, f"Found with {optimum['evaluations']} evaluations in {optimum['seconds']:.1f} s.")


def settings(optimum: Json) -> RenderableType:
    """Return each free input: what it is in the rows nearby, what it should be, and which lower module brings it."""
    table = _table("Input", "What it is", ">Median nearby", ">Set to", "Unit", "Set how", "At a bound")
    for row in optimum["set"]:
        source = f"by {row['source']}" if row["source"] else "directly"
        values = (_number(row["median"]), _number(row["value"]))
        table.add_row(row["tag"], row["description"], *values, row["unit"], source, row["at_bound"] or "-")
    active = [limit["of"] for limit in optimum["limits"] if limit["is_active"]]
    asked = f"Limits active: {', '.join(active) or 'none'} of {len(optimum['limits'])}."
    return Group(
        table,
        asked
        if optimum["limits"]
        else "Limits active: none; the range of the data bounds it, and how far the model is trusted.",
    )


def trust(answer: Json) -> RenderableType:
    """Return how sure the models are and how far the answer is from anything measured."""
    return _grid(*[("-", sentence) for sentence in answer["trust"]])


def now_and_then(joint: Json, upper: Json) -> RenderableType:
    """Return what all layers together save, and what became of what the upper module alone promises."""
    now, unit = joint["now"], joint["objective"]["unit"]
    promised = "what the upper module alone promises, as if its links were free"
    return _grid(
        (
            "now",
            f"{now['predicted']:.3f} {unit}",
            f"the models at the row of {now['time']}, which measured {now['measured']:.3f}",
        ),
        ("after", f"{joint['after']:.3f} {unit}", "the composed models: every link is what a lower module makes"),
        ("saving", f"{joint['gain']:.3f} {unit}", f"{joint['percent']:.1f} % of now"),
        ("", f"{upper['after']:.3f} {unit}", promised),
    )


def changes(joint: Json) -> RenderableType:
    """Return the changes that buy most: what it is now, what it should be, in which module, and what that buys."""
    table = _table("Input", "What it is", ">Now", ">Set to", "Unit", "Of module", ">Buys")
    told, rest = joint["changes"][:MOST_CHANGES], joint["changes"][MOST_CHANGES:]
    for row in told:
        values = (_number(row["before"]), _number(row["after"]))
        table.add_row(
            row["tag"], row["description"], *values, row["unit"], ", ".join(row["modules"]), f"{row['buys']:+.4f}"
        )
    others = f"{len(rest)} more changes buy {sum(row['buys'] for row in rest):+.4f} together."
    active = [limit["of"] for limit in joint["limits"] if limit["is_active"]]
    return Group(table, f"{others} Limits active: {', '.join(active) or 'none'} of {len(joint['limits'])}.")


def links(joint: Json) -> Table:
    """Return what each lower module makes for those above it, now and then; a link of two takers is one row."""
    table = _table("Link", "From", "To", ">Now", ">Then", "Unit")
    for tag in dict.fromkeys(link["source_tag"] for link in joint["links"]):
        same = [link for link in joint["links"] if link["source_tag"] == tag]
        values = (_number(same[0]["now"]), _number(same[0]["reached"]))
        table.add_row(tag, same[0]["source"], ", ".join(link["module"] for link in same), *values, same[0]["unit"])
    return table


def _table(*headings: str) -> Table:
    """Return a plain table; a heading that begins with > stands over numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table


def _grid(*rows: tuple[str, ...]) -> Table:
    """Return rows in columns, without headings."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    return table


def _number(value: float) -> str:
    """Write a number with about four significant digits, and never in powers of ten."""
    size = abs(value)
    digits = next((digits for digits, least in ((0, 1000), (1, 100), (2, 10), (3, 1)) if size >= least), 4)
    return f"{value:.{digits}f}"
