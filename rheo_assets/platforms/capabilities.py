"""The interfaces that a platform implements. A node declares what it needs; the platform provides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from rheo_assets.model.compute.targets import Target
from rheo_assets.runner.task import Task, TaskResult


class Replacement(AbstractContextManager["Replacement"], Protocol):
    """The next content of a prefix while it is being written: a context that changes nothing unless it publishes.

    Attributes:
        uri: The prefix to write below, empty at first. Its content is not visible as data until it is published.
    """

    uri: str

    def publish(self, name: str, content: bytes) -> None:
        """Replaces the old content with the written content. Called once.

        A crash leaves the old content, the new content, or content that does not count as complete. The next
        replacement of the prefix restores the old content if necessary, and removes the rest. Readers may see the
        change in steps: a store without a swap copies the objects, and writes this one last.

        Args:
            name: The object that marks the content as complete.
            content: The content of that object.
        """


class Storage(Protocol):
    """An object store addressed by `s3://bucket/key` URIs.

    Names and keys cannot leave the root: `..`, absolute and percent-encoded escapes raise `ValueError`.
    """

    def version(self, uri: str) -> str | None:
        """Returns the version of the object's current content; None if the object does not exist."""

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written, by the store's clock, epoch seconds; None if it does not exist."""

    def has_objects(self, uri: str) -> bool:
        """Returns whether any data object lies below the prefix: bookkeeping (`_SUCCESS`, `x.tmp`) does not count."""

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

        Only objects with the given names are checked, so that the cost grows with the number of folders, not with their
        content; None checks every object. Names that start with `.` are skipped. An unchanged object may be the same
        tuple as the last time, so that the caller can compare identities first.

        `passes` is called for each folder, from the top. A store whose requests cost money skips the folders for which
        it is true, and yields nothing from them. Another store need not call it.
        """

    def read(self, uri: str) -> bytes:
        """Returns the object's content; raises `FileNotFoundError`."""

    def write(self, uri: str, content: bytes) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part."""

    def create(self, uri: str, content: bytes) -> bool:
        """Writes the object only if it does not exist; of several concurrent writers, exactly one gets True."""

    def delete(self, uri: str) -> None:
        """Deletes the object, or everything below the prefix, if it exists."""

    def expire(self, uri: str, before: float) -> None:
        """Deletes the objects directly below the prefix that were written before a time of the store's clock."""

    def replacement(self, uri: str, writer: str) -> Replacement:
        """Returns a context in which the next content of the whole prefix is written.

        `writer` is the id of the execution. If its job may outlive the process that started it, a process that takes
        the job over gets the same `Replacement.uri` again.
        """

    def location(self, uri: str) -> str:
        """Returns the location that a person opens: the folder on the local platform, the URI on AWS."""


class Engine(Protocol):
    """Runs the tasks of some languages."""

    def run(self, task: Task, log: Callable[[str], None], cancelled: Callable[[], bool]) -> TaskResult:
        """Runs the task to its end and returns its result.

        The engine replaces all of `task.output.path`, but never writes the completion file. A callable adds to the
        output of earlier targets; if it fails, the files that it added are removed.

        Args:
            task: The task.
            log: Logs one line of progress or user output.
            cancelled: Called at least once a second. If it returns true, the engine stops the task.

        Raises:
            TaskFailure: The task did not succeed; its `kind` is the kind of the cause.
        """


class Catalog(Protocol):
    """Returns tables by database and name, like the Glue Data Catalog."""

    def table(self, database: str, name: str) -> Mapping[str, Any]:
        """Returns the table as Glue's `GetTable` describes it; raises a `LookupError` that suggests similar names."""


RETRY_FOR: Final = 86_400.0
"""How long a platform that fails is retried by default, seconds: a day."""


class Platform(Protocol):
    """Stores an application's data and runs its code.

    Attributes:
        name: The value of `runtime_platform` in user code.
        retry_for: How long an execution waits for a platform that fails (no capacity, throttling), seconds.
    """

    name: str
    retry_for: float

    @property
    def storage(self) -> Storage:
        """The object store."""

    @property
    def catalog(self) -> Catalog:
        """The catalog of tables."""

    def bucket(self, application: str) -> str:
        """Returns the bucket that holds an application's own data and state."""

    def prepare(self, application: str) -> None:
        """Creates what an application needs before it writes anything, such as its bucket. Called by each `activate()`.

        Raises:
            CapabilityMissing: It cannot be created; the message says what to do.
        """

    def engine(self, target: Target) -> Engine:
        """Returns the engine that runs a target.

        Raises:
            CapabilityMissing: The platform has no such engine; the message has the pip command.
        """

    def params(self) -> Mapping[str, Any]:
        """Returns the entries of a callable's `params` besides `dimensions`."""

    def save_private(self, uri: str, content: bytes) -> None:
        """Writes an object that only its owner can read."""

    @property
    def concurrency(self) -> int:
        """The number of concurrent executions in one run."""
