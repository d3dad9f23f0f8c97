"""``make bench`` and ``make bench-full``: measure, and write docs/benchmarks.md.

``python -m benchmarks [--full] [name ...]`` measures only the benchmarks named; the others keep the figures they have.
"""

import argparse

from benchmarks import (
    accuracy,
    bbob,
    cec2006,
    cells,
    fan_out,
    growth,
    honest,
    intervals,
    loop_speed,
    multiobjective,
    optimality_gap,
    prediction_ways,
    report,
    service,
    task_overhead,
)

CELLWISE = (
    task_overhead,
    fan_out,
    loop_speed,
    bbob,
    cec2006,
    multiobjective,
    accuracy,
    intervals,
    honest,
    optimality_gap,
    growth,
    prediction_ways,
)
"""The benchmarks that run in cells, in the order of the page."""


def main() -> None:
    """Measure what was asked for, then write the page from everything that has been measured."""
    names = ["service", *map(cells.name_of, CELLWISE)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write docs/benchmarks.md.")
    parser.add_argument("--full", action="store_true", help="every cell; goes on where it was stopped, may take hours")
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure; all by default: {', '.join(names)}")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(names):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}")

    for benchmark in (service, *CELLWISE):
        if asked.names and cells.name_of(benchmark) not in asked.names:
            continue
        try:
            cells.run(benchmark, is_full=asked.full)
        except cells.MissingDataError as missing:
            print(f"{cells.name_of(benchmark)}: not measured. {missing}.")
    report.write([cells.section(benchmark) for benchmark in (service, *CELLWISE)])


if __name__ == "__main__":
    main()
