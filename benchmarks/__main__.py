"""``make bench``: measure everything and write docs/benchmarks.md."""

from benchmarks import read_task, report, search_speed, submit_latency


def main() -> None:
    rows = []
    for benchmark in (search_speed, read_task, submit_latency):
        print(f"{benchmark.__name__.partition('.')[2]} ...", flush=True)
        rows += benchmark.measure()
    print(report.write(rows))


if __name__ == "__main__":
    main()
