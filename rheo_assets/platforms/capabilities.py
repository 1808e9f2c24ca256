"""The interfaces that a platform implements. A node says what it needs; the platform says who serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from rheo_assets.model.compute.targets import Target
from rheo_assets.runner.task import Task, TaskResult


class Replacement(AbstractContextManager["Replacement"], Protocol):
    """The next content of a prefix while it is being written: a context that changes nothing unless it publishes.

    Attributes:
        uri: The prefix to write below, empty at first; what lies there is nobody's data until it is published.
    """

    uri: str

    def publish(self, name: str, content: bytes) -> None:
        """Puts what was written in the place of the old content; once.

        A crash leaves the old content, the new, or none that counts as complete; the next replacement of the prefix
        puts the old content back if it must and removes the rest. That is no promise that the change is seen at once:
        a store without a swap copies, and writes this object last.

        Args:
            name: The object that says that the content is whole.
            content: What is in it.
        """


class Storage(Protocol):
    """An object store addressed by `s3://bucket/key` URIs.

    Names and keys cannot leave the root: `..`, absolute and percent-encoded escapes raise `ValueError`.
    """

    def version(self, uri: str) -> str | None:
        """Returns the identity of the object's present content, or None when there is no such object."""

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written by the store's own clock, epoch seconds; None when there is none."""

    def has_objects(self, uri: str) -> bool:
        """Returns whether any object lies below the prefix (hidden files such as `.crc` do not count)."""

    def children(self, uri: str) -> Iterator[str]:
        """Yields the names one level below the prefix, sorted: folders and objects."""

    def find(
        self,
        prefix: str,
        depth: int,
        names: Sequence[str] | None,
        passes: Callable[[tuple[str, ...]], bool] | None = None,
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yields (path segments below the prefix, version) of the objects exactly `depth` folders below it.

        Only objects of the given names are looked at, so that the cost grows with the folders, not with what lies in
        them; None looks at every object. Names that start with `.` are passed over. An object that has not changed
        may be the very same tuple as the last time, so that who looks again compares identities first.

        `passes` is asked about each folder, from the top. A store whose looks cost money passes over those for which it
        is true: nothing below them is yielded. Another store need not ask.
        """

    def read(self, uri: str) -> bytes:
        """Returns the object's content; raises `FileNotFoundError`."""

    def write(self, uri: str, content: bytes) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part."""

    def create(self, uri: str, content: bytes) -> bool:
        """Writes the object only if there is none; of several writers at once exactly one gets True."""

    def delete(self, uri: str) -> None:
        """Deletes the object, or everything below the prefix; nothing there is no error."""

    def expire(self, uri: str, before: float) -> None:
        """Deletes the objects right below the prefix that were written before a time of the store's own clock."""

    def replacement(self, uri: str, writer: str) -> Replacement:
        """Returns a context in which the next content of everything below the prefix is written.

        `writer` is the identity of the execution. Where its job may outlive the process that started it, one that is
        taken over writes below the same `Replacement.uri` again.
        """

    def location(self, uri: str) -> str:
        """Returns what a person opens: the folder itself on the local platform, the URI on AWS."""


class Engine(Protocol):
    """Runs tasks of some languages."""

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task to its end and returns what it left behind.

        The engine writes `task.output.path` as a whole (what lay there is gone) but never the completion file. A
        callable adds to what earlier targets wrote; when it fails, what it added is gone.

        Args:
            task: What to run.
            log: Takes one line of progress or of user output at a time.
            cancelled: Asked at least once a second; true ends the task.

        Raises:
            TaskFailure: The task did not succeed; its `kind` says whose fault it was.
        """


class Catalog(Protocol):
    """Answers for tables by database and name, as the Glue Data Catalog does."""

    def table(self, database: str, name: str) -> Mapping[str, Any]:
        """Returns the table as Glue's `GetTable` describes it; raises `LookupError` naming near misses."""


RETRY_FOR: Final = 86_400.0
"""For how many seconds a platform that fails is waited for unless its options say otherwise: a day."""


class Platform(Protocol):
    """Where an application's data lies and its code runs.

    Attributes:
        name: What user code sees as `runtime_platform`.
        retry_for: For how many seconds an execution waits for a platform that fails: no room, throttling.
    """

    name: str
    retry_for: float

    @property
    def storage(self) -> Storage:
        """The object store."""

    @property
    def catalog(self) -> Catalog:
        """The tables by database and name."""

    def bucket(self, application: str) -> str:
        """Returns the bucket that holds an application's own data and state."""

    def prepare(self, application: str) -> None:
        """Makes what an application needs before anything of it is written; asked at every activation.

        Raises:
            CapabilityMissing: It cannot be made; says what to do.
        """

    def engine(self, target: Target) -> Engine:
        """Returns the engine that serves a target.

        Raises:
            CapabilityMissing: Nothing here does; the message has the pip line.
        """

    def params(self) -> Mapping[str, Any]:
        """Returns what callables get in `params` besides `dimensions`."""

    def save_private(self, uri: str, content: bytes) -> None:
        """Writes an object that only its owner can read."""

    @property
    def concurrency(self) -> int:
        """How many executions of one run go at once."""
