"""The errors that users meet, built from fields. Each is also the builtin that the API promises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean 'x'?` for the nearest known word, or an empty string."""
    by_fold = {word.casefold(): word for word in known}
    near = difflib.get_close_matches(found.casefold(), list(by_fold), n=1)
    return f" Did you mean {by_fold[near[0]]!r}?" if near else ""


def listed(words: Iterable[object], limit: int = 8) -> str:
    """Returns words as a short, readable list."""
    texts = [str(word) for word in words]
    shown = ", ".join(texts[:limit])
    return f"{shown} and {len(texts) - limit} more" if len(texts) > limit else shown


def brief(text: str, limit: int = 200) -> str:
    """Returns a text, with its middle left out if it is too long to read.

    >>> brief("x" * 5000, 10)
    'xxxxx … xxxxx'
    """
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def subscripted(node: str, values: Iterable[str]) -> str:
    """Returns a partition as messages and the UI write it: `orders[NA][2024-03-01]`."""
    return node + "".join(f"[{value}]" for value in values)


class RheoError(Exception):
    """The base class of all errors that this library raises on purpose."""


class DeclarationError(RheoError, ValueError):
    """A declaration that cannot work; raised when it is declared."""

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{brief(subject)}: {brief(problem, 600)}{'. ' + remedy if remedy else ''}")
        self.subject = subject
        self.problem = problem
        self.remedy = remedy


class InvalidValue(RheoError, ValueError):  # noqa: N818  # reads as the user would say it
    """A value that its dimension cannot hold."""

    def __init__(self, dimension: str, value: object, accepted: str, where: str = "") -> None:
        self.sentence = f"dimension '{dimension}' cannot hold {brief(repr(value))}: it takes {accepted}"
        super().__init__(f"{brief(where)}: {self.sentence}" if where else self.sentence)
        self.dimension = dimension
        self.value = value
        self.accepted = accepted

    def at(self, where: str) -> InvalidValue:
        """Returns the same error, which also names where the value was given."""
        return InvalidValue(self.dimension, self.value, self.accepted, where)


class BeforeMin(InvalidValue):
    """A value before its dimension's `min`."""


class FormatFailed(InvalidValue):
    """A value on which its dimension's format function failed."""


class UnknownPartition(RheoError, ValueError):  # noqa: N818
    """A partition that its node does not have."""

    def __init__(self, node: str, dimension: str, value: str, declared: Sequence[str]) -> None:
        super().__init__(
            f"'{node}' has no {dimension} {brief(repr(value))} (it declares {listed(declared)})."
            f"{did_you_mean(value, declared)}"
        )
        self.node = node
        self.dimension = dimension
        self.value = value
        self.declared = tuple(declared)


class NotConcrete(RheoError, ValueError):  # noqa: N818
    """A view that does not name a single partition, although one is needed."""

    def __init__(self, view: str, verb: str, missing: str) -> None:
        super().__init__(f"{verb} needs one concrete partition, but {view} leaves {missing} open")
        self.view = view


class InvalidUri(RheoError, ValueError):  # noqa: N818
    """A URI that no object can have, or that leads outside the storage."""


class UnknownNode(RheoError, ValueError):  # noqa: N818
    """A node that the application does not have."""

    def __init__(self, application: str, node: str, known: Iterable[str], place: str = "") -> None:
        known = sorted(known)
        nothing = f"it has none yet, and nothing has been activated in {place}" if place else "it has none yet"
        has = f"it has {listed(known)}" if known else nothing
        super().__init__(
            f"application '{application}' has no node {brief(repr(node))} ({has}).{did_you_mean(node, known)}"
        )
        self.application = application
        self.node = node


class UnknownTable(RheoError, LookupError):  # noqa: N818
    """A database or table that the catalog does not have."""

    def __init__(self, subject: str, found: str, known: Sequence[str], remedy: str) -> None:
        has = f"it has {listed(known)}" if known else "it has none yet"
        super().__init__(f"{subject} ({has}).{did_you_mean(found, known)} {remedy}")
        self.name = found
        self.known = tuple(known)


class Undetermined(RheoError, ValueError):  # noqa: N818
    """A partition that the links do not determine."""


class Contradiction(RheoError, ValueError):  # noqa: N818
    """Values that a literal, a link or a filter rules out."""


class LinkFailed(Contradiction):
    """A link whose function raised or returned an invalid value: the fault is in the link, not in the values."""


class NoData(RheoError, FileNotFoundError):  # noqa: N818
    """A view that has nothing to read."""


class UnreadableData(RheoError, ValueError):  # noqa: N818
    """Data that exists but does not match its format."""

    def __init__(self, partition: str, what: str, cause: str, remedy: str) -> None:
        super().__init__(f"{partition}: {what} cannot be read: {brief(cause)}. {remedy}")
        self.partition = partition
        self.cause = cause


class MissingInput(RheoError, ValueError):  # noqa: N818
    """External data that a recursive execution needs and cannot build."""

    def __init__(self, node: str, partition: str, missing: Sequence[str]) -> None:
        super().__init__(
            f"{node}[{partition}] cannot be built: external data is missing: {listed(missing)}. "
            "Nothing was run. Land the data (its completion file last) and call again"
        )
        self.node = node
        self.missing = tuple(missing)


class NotActivated(RheoError, RuntimeError):  # noqa: N818
    """A verb that needs an activated application."""

    def __init__(self, application: str, verb: str) -> None:
        super().__init__(f"{verb} needs an activated application: call activate() on '{application}' first")


class NotReady(RheoError, RuntimeError):  # noqa: N818
    """An execution that could not start because its inputs are not ready; `never` is why they never can be."""

    def __init__(
        self,
        node: str,
        partition: Sequence[str],
        waiting_for: Sequence[str],
        never: str | None = None,
        is_recursive: bool = False,
    ) -> None:
        why = never or f"not ready: {listed(waiting_for)}"
        if never:
            remedy = "Execute a later partition, or remove range_check"
        elif is_recursive:
            remedy = "Land or build them"
        else:
            remedy = "Land or build them, or call execute(..., recursive=True) to build those that are nodes"
        super().__init__(f"{subscripted(node, partition)} could not be started: {why}. {remedy}")
        self.node = node
        self.partition = tuple(partition)
        self.waiting_for = tuple(waiting_for)


class ExecutionFailed(RheoError, RuntimeError):  # noqa: N818
    """An execution that failed."""

    def __init__(self, node: str, partition: Sequence[str], target: str, cause: str) -> None:
        super().__init__(f"{subscripted(node, partition)} failed in {target}: {cause}")
        self.node = node
        self.partition = tuple(partition)
        self.target = target
        self.cause = cause


class KeyTaken(RheoError, ValueError):  # noqa: N818
    """Two declarations of one asset key."""


class CapabilityMissing(RheoError, RuntimeError):  # noqa: N818
    """A package or service that a node needs and this machine or platform lacks."""


class StateError(RheoError, RuntimeError):
    """Recorded state that cannot be read."""


class UnusableCallable(RheoError, ValueError):  # noqa: N818
    """A callable that cannot be recorded, or a recorded one that cannot be run here."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(f"{name}: {problem}: {remedy}")
        self.name = name
        self.problem = problem
        self.remedy = remedy
