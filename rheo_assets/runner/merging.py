"""One schema for all files of an input: the same rule in every engine.

* Names that differ only in case are one column, spelled as in the tip.
* A column that some files lack is null there, with a warning.
* Types are merged if one type holds the values of both (`column_types.wider`). Otherwise the input is refused.
* Declared columns are the schema, whatever other columns the files have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rheo_assets.model.column_types import UNKNOWN, Kind, spelled, wider

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """The columns that some files of one partition have.

    Attributes:
        partition: The partition as people call it.
        file: The first of the files; empty where the partition's files were looked at together.
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
        """Returns the names as they are in the files, by the names in lower case."""
        return {name.lower(): name for name in self.columns}


class TwoSpellings(Exception):  # noqa: N818  # an answer, not a fault
    """Two columns of the same files whose names differ only in case."""

    def __init__(self, seen: Seen, one: str, other: str) -> None:
        super().__init__(f"it has two columns that differ only in case, {one!r} and {other!r}")
        self.seen = seen


class Conflict(Exception):  # noqa: N818
    """A column whose types in two files no type holds.

    Attributes:
        column: Its name.
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
    """Returns one kind a column for all files, in the order of the first that has it.

    Raises:
        Conflict: There is no such kind.
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


def without_empty(columns: Mapping[str, Kind]) -> dict[str, Kind]:
    """Returns the columns without objects that never have a key, of which no engine can make a type."""
    pruned = {name: without_empty(kind) if isinstance(kind, Mapping) else kind for name, kind in columns.items()}
    return {name: kind for name, kind in pruned.items() if kind != {}}


class Contradiction(Exception):  # noqa: N818
    """A column whose type in a file is not the declared one.

    Attributes:
        column: Its name.
        seen: Where it was found.
        kind: The kind that it has there.
    """

    def __init__(self, column: str, seen: Seen, kind: Kind, declared: Kind) -> None:
        super().__init__(f"the column {column!r} is declared {described(declared)} and is {described(kind)} there")
        self.column = column
        self.seen = seen
        self.kind = kind


def settled(
    seen: Sequence[Seen], declared: Mapping[str, Kind], has_values: Callable[[Seen, str], bool]
) -> tuple[Mapping[str, Kind], list[Seen]]:
    """Returns the columns of files that carry their types, and what was seen with `UNKNOWN` for columns without values.

    A writer has to give a column without values some type, which is then in the way of the others.

    Args:
        seen: The columns of each file.
        declared: The declared columns; if there are none, the files' are merged.
        has_values: Returns whether a column, as the file spells it, has a value in the file. Asked only if it matters.

    Raises:
        Conflict: The types of two files do not go together.
        Contradiction: A file contradicts what is declared.
    """
    listed = list(seen)
    while True:
        try:
            if declared:
                _check_declared(listed, declared)
            return declared or merged(listed), listed
        except (Conflict, Contradiction) as error:
            doubted = error.seen if isinstance(error, Conflict) else (error.seen,)
            names = [(one, one.spelling()[error.column.lower()]) for one in doubted]
            empty = {id(one): name for one, name in names if one.columns[name] != UNKNOWN and not has_values(one, name)}
            if not empty:
                raise
            listed = [_without(one, empty[id(one)]) if id(one) in empty else one for one in listed]


def _without(one: Seen, name: str) -> Seen:
    return Seen(one.partition, one.file, {**one.columns, name: UNKNOWN})


def _check_declared(seen: Sequence[Seen], declared: Mapping[str, Kind]) -> None:
    for one in seen:
        spelling = one.spelling()
        for name, kind in declared.items():
            found = one.columns[spelling[name.lower()]] if name.lower() in spelling else UNKNOWN
            if wider(found, kind) != kind:
                raise Contradiction(name, one, found, kind)


def misfit(written: Mapping[str, Kind], declared: Mapping[str, Kind]) -> str:
    """Returns what is wrong with the columns of an output, in words; empty where they are as its node declares them."""
    spelling = {name.lower(): name for name in written}
    for name, kind in declared.items():
        if name.lower() not in spelling:
            return f"its output has no column {name!r}, which the node declares: it has {', '.join(written)}"
        found = written[spelling[name.lower()]]
        if wider(found, kind) != kind:
            told = f"the column {name!r} of its output is {described(found)}"
            return f"{told}, and the node declares {described(kind)}: CAST it"
    lowered = {name.lower() for name in declared}
    more = [name for name in written if name.lower() not in lowered]
    return f"its output has the column {more[0]!r}, which the node does not declare" if more else ""


def warnings_of(alias: str, columns: Sequence[str], seen: Sequence[Seen]) -> tuple[str, ...]:
    """Returns a sentence for each column that some files lack."""
    told = []
    for name in columns:
        without = [one for one in seen if name.lower() not in one.spelling()]
        whole = {one.partition for one in seen} - {one.partition for one in seen if one not in without}
        places = list(dict.fromkeys(one.partition if one.partition in whole else one.file for one in without))
        if places:
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            where = f"{', '.join(places[:_SHOWN])}{more}"
            told.append(f"input {alias!r} has no column {name!r} in {where}: it is null there")
    return tuple(told)


def described(kind: Kind) -> str:
    """Returns a kind for people: a column without values is empty."""
    return "without values" if kind == UNKNOWN else spelled(kind)
