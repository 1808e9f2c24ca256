"""The flights pipeline in one go: lands January 2013, runs the pipeline, and shows the results.

    make demo

It needs no daemon: this process is the event loop, on the Dagster instance that `make dev` shows. If it is
killed half-way, the next run continues. If everything is ready, it runs nothing.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from definitions.flights import app, monthly, report
from examples.flights.landing import days_between, land
from rheo_assets import Execution

JANUARY = days_between(date(2013, 1, 1), date(2013, 1, 31))
MONTH = ("EWR", "2013-01")
console = Console(soft_wrap=True)


class Ready:
    """Finds completed partitions on disk, as a person would with `ls`."""

    def __init__(self, root: Path) -> None:
        self._data = root / "s3" / "rheo-flights" / "internal_data"

    def count(self) -> Counter[str]:
        """Returns the number of completed partitions per node."""
        return Counter(path.relative_to(self._data).parts[0] for path in self._data.rglob("_SUCCESS"))

    def lost(self, done: list[Execution]) -> list[tuple[str, tuple[str, ...]]]:
        """Returns the partitions that were built and have been deleted since."""
        made = dict.fromkeys((each.node, each.partition) for each in done if each.status == "COMPLETED")
        return [
            (node, partition)
            for node, partition in made
            if not self._data.joinpath(node, *partition, "_SUCCESS").exists()
        ]


def make_again(lost: list[tuple[str, tuple[str, ...]]]) -> None:
    """Executes partitions that have been deleted."""
    for node, partition in lost:
        view = app[node]
        for value in partition:
            view = view[value]
        console.print(f"  {node} of {'/'.join(partition)} was deleted: building it again")
        app.execute(view, recursive=True)


def tell(title: str, ready: Ready, started: float) -> None:
    """Prints how many partitions are ready after a step. `settle` and `execute` show their own progress."""
    count = sum(ready.count().values())
    console.print(f"  {title}: {count} partitions ready after {time.monotonic() - started:.0f} s")


def land_days(root: Path, days: list[date]) -> int:
    """Lands days of all three airports; returns how many partitions were new."""
    new = len(land(root, days).written)
    console.print(f"  landed {days[0]} to {days[-1]}: {new} new folders")
    return new


def main() -> int:
    """Runs the demo."""
    started = time.monotonic()
    root = Path(app.platform.root)
    ready = Ready(root)
    console.print(f"[bold]Flights of January 2013[/bold] under {root}")
    app.activate()
    known = {execution.id for execution in app.history()}
    new = land_days(root, JANUARY[:14])
    app.settle()
    tell("the first two weeks", ready, started)
    weeks = Counter(execution.node for execution in app.history() if execution.id not in known)
    new += land_days(root, JANUARY[14:])
    view = monthly[MONTH[0]][MONTH[1]]
    path, _ = app.poll(view, wait=False)
    if path is None:
        app.execute(view, recursive=True)
        tell(f"{MONTH[0]}'s month, recursively", ready, started)
    app.settle()
    make_again(ready.lost(app.history()))
    tell("everything downstream", ready, started)
    ended = [execution for execution in app.history() if execution.id not in known]
    show_runs(ended, weeks, ready)
    show_month()
    if not ended and not new:
        console.print("[green]Everything was ready already: nothing had to run.[/green]")
    console.print(f"{time.monotonic() - started:.0f} s. Look at it with [bold]make dev[/bold].")
    return report_failures(ended)


def show_runs(ended: list[Execution], weeks: Counter[str], ready: Ready) -> None:
    """Prints what ran and where the data is."""
    root = Path(app.platform.storage.location(f"s3://{app.platform.bucket(app.name)}/internal_data"))
    table = Table(title="What ran", caption=f"fleet waits for its weekly timer.\nThe data is in {root}/<node>")
    for name in ("node", "two weeks", "in all", "ready"):
        table.add_column(name, justify="left" if name == "node" else "right", no_wrap=True)
    counts, present = Counter(execution.node for execution in ended), ready.count()
    for node_id in app.topology.data_nodes:
        table.add_row(node_id, str(weeks[node_id]), str(counts[node_id]), str(present[node_id]))
    console.print(table)


def show_month() -> None:
    """Prints the month."""
    frame = app.load_data(monthly[MONTH[0]][MONTH[1]]).sort_values("flights", ascending=False)
    table = Table(title=f"{MONTH[0]}, {MONTH[1]}: {int(frame['flights'].sum()):,} departures")
    for name in ("carrier", "name", "flights", "mean delay (min)"):
        table.add_column(name, justify="left" if name in {"carrier", "name"} else "right")
    for row in frame.itertuples():
        table.add_row(row.carrier, row.name, f"{int(row.flights):,}", f"{row.mean_dep_delay:.1f}")
    console.print(table)
    chart = Path(app.materialize(report[MONTH[0]][MONTH[1]])[0]) / "delays.png"
    if chart.exists():
        console.print(f"The month as a chart: {chart}")


def report_failures(ended: list[Execution]) -> int:
    """Prints failed executions; returns the exit status."""
    failed = [execution for execution in ended if execution.status != "COMPLETED"]
    for execution in failed[:5]:
        console.print(
            f"[red]{execution.node} {'/'.join(execution.partition)} {execution.status}[/red]: {execution.error}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
