"""One schema for all files of an input: the same rule in every engine.

* Names that differ only in case are one column, spelled as in the tip.
* A column that some files lack is null there, with a warning.
* Types are merged if one holds the values of both (`column_types.wider`); otherwise reading the input fails.
* Declared columns are the schema, whatever else is in the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rheo_assets.model.column_types import UNKNOWN, Kind, spelled, wider

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """The columns that some files of one partition have.

    Attributes:
        partition: The readable name of the partition.
        file: The first of the files; empty if the partition's files were read together.
        columns: The kinds by name, spelled as in the files.
    """

    partition: str
    file: str
    columns: Mapping[str, Kind]

    def __post_init__(self) -> None:
        spelling: dict[str, str] = {}
        for name in self.columns:
            if (other := spelling.setdefault(name.lower(), name)) != name:
                raise TwoSpellings(self, other, name)

    def spelling(self) -> dict[str, str]:
        """Returns the names as in the files, by the names in lower case."""
        return {name.lower(): name for name in self.columns}


class TwoSpellings(Exception):  # noqa: N818  # an answer, not a fault
    """Two columns of the same files whose names differ only in case."""

    def __init__(self, seen: Seen, one: str, other: str) -> None:
        super().__init__(f"it has two columns that differ only in case, {one!r} and {other!r}")
        self.seen = seen


class Conflict(Exception):  # noqa: N818
    """A column with two types that no single type can hold.

    Attributes:
        column: The column's name.
        places: Where the first and the second type were found: partitions, or files of one partition.
        kinds: The two kinds.
    """

    def __init__(self, column: str, first: tuple[Seen, Kind], second: tuple[Seen, Kind]) -> None:
        super().__init__(column)
        self.column = column
        self.kinds = (first[1], second[1])
        self.seen = (first[0], second[0])
        apart = first[0].partition != second[0].partition
        self.places = tuple(seen.partition if apart or not seen.file else seen.file for seen in self.seen)


def merged(seen: Sequence[Seen]) -> dict[str, Kind]:
    """Returns one kind per column for all files, in the order of first appearance.

    Raises:
        Conflict: A column has no common kind.
    """
    columns: dict[str, Kind] = {}
    spelling: dict[str, str] = {}
    origin: dict[str, tuple[Seen, Kind]] = {}
    for one in seen:
        for name, kind in one.columns.items():
            known = spelling.setdefault(name.lower(), name)
            both = wider(columns.get(known, UNKNOWN), kind)
            if both is None:
                raise Conflict(known, origin[known], (one, kind))
            if columns.get(known, UNKNOWN) == UNKNOWN:
                origin[known] = (one, kind)
            columns[known] = both
    return columns


def contradiction(seen: Sequence[Seen], declared: Mapping[str, Kind]) -> tuple[Seen, str, Kind] | None:
    """Returns the first file, column and kind that contradict the declared columns; None if all fit."""
    for one in seen:
        spelling = one.spelling()
        for name, kind in declared.items():
            found = one.columns[spelling[name.lower()]] if name.lower() in spelling else UNKNOWN
            if wider(found, kind) != kind:
                return one, name, found
    return None


def misfit(written: Mapping[str, Kind], declared: Mapping[str, Kind]) -> str:
    """Returns what is wrong with the columns of an output, as text; empty if they are as the node declares them."""
    spelling = {name.lower(): name for name in written}
    for name, kind in declared.items():
        if name.lower() not in spelling:
            return f"its output has no column {name!r}, which the node declares: it has {', '.join(written)}"
        found = written[spelling[name.lower()]]
        if wider(found, kind) != kind:
            problem = f"the column {name!r} of its output is {described(found)}"
            return f"{problem}, but the node declares {described(kind)}: CAST it"
    lowered = {name.lower() for name in declared}
    more = [name for name in written if name.lower() not in lowered]
    return f"its output has the column {more[0]!r}, which the node does not declare" if more else ""


def warnings_of(alias: str, columns: Sequence[str], seen: Sequence[Seen]) -> tuple[str, ...]:
    """Returns a sentence for each column that some files lack."""
    warnings = []
    for name in columns:
        without = [one for one in seen if name.lower() not in one.spelling()]
        whole = {one.partition for one in seen} - {one.partition for one in seen if one not in without}
        places = list(dict.fromkeys(one.partition if one.partition in whole else one.file for one in without))
        if places:
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            where = f"{', '.join(places[:_SHOWN])}{more}"
            warnings.append(f"input {alias!r} has no column {name!r} in {where}: it is null there")
    return tuple(warnings)


def described(kind: Kind) -> str:
    """Returns the readable name of a kind."""
    return "without values" if kind == UNKNOWN else spelled(kind)
