"""Why a query is not run: sentences without the node's name, which the engine puts in front."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the user's SQL, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Refusal(Exception):  # noqa: N818  # not an error of the engine: the engine's answer
    """A query that the local Athena does not run, and why.

    Attributes:
        reason: What is wrong and what to do, one paragraph.
        detail: The engine's own text.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def not_available(what: str, remedy: str = "") -> Refusal:
    """Returns the refusal of something that Athena may have and this engine has not."""
    return Refusal(f"{what} is not available in the local Athena" + (f": {remedy}" if remedy else ""))


def near_misses(name: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?`, or nothing when no known name is close."""
    lowered = {item.lower(): item for item in known}
    close = [lowered[hit] for hit in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
    return " Did you mean " + " or ".join(repr(hit) for hit in close) + "?" if close else ""


def listing(names: Iterable[str]) -> str:
    """Returns the names as `a, b, c`, or `none`."""
    return ", ".join(names) or "none"
