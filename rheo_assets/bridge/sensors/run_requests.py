"""Run requests: the runs that the router sensor requests from Dagster for the router and the plans."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import TypeVar

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.already_read import skip_if_read
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import run_config, run_tags
from rheo_assets.bridge.loop.plans import Plans
from rheo_assets.bridge.names import TRIGGER_TAG, asset_key
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.errors import RheoError
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode

_log = logging.getLogger("rheo_assets")
LOOK_EVERY = 30.0  # how often requested executions are checked for a run
_NEVER = (0, 0, -math.inf)
MOST_RUNS = 50  # per tick: Dagster creates them one by one, and the router ticks again only after the last one
_PAGE = 500  # executions that are checked between two looks at the clock
_REMEMBERED, _RECENT = 10_000, 3600.0
T = TypeVar("T")


def planned(plans: Plans) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields the executions of the plans that no other process carries out, and closes finished plans."""
    for run in plans.abandoned():
        try:
            step = plans.step(run)
        except RheoError as error:  # a caller that still waits gets the same error
            _log.warning("%s", error)
            step = None
        if step is None:
            plans.finish(run)
        else:
            yield step.stage.node, list(step.requests)


def run_requests(
    binding: Binding,
    driver: Driver,
    wanted: Iterable[tuple[DataNode, list[Request]]],
    is_enough: Callable[[], bool],
) -> Iterator[dg.RunRequest]:
    """Yields one run per contiguous range of wanted executions that are not under way, until it is enough.

    The nodes take turns, so that one with many ranges does not hold up the others.
    """
    sources = (_ranges(binding, driver, node, requests, is_enough) for node, requests in wanted)
    for request in islice(_in_turns(sources), MOST_RUNS):
        yield request
        if is_enough():
            return


def _in_turns(sources: Iterable[Iterator[T]]) -> Iterator[T]:
    """Yields the first item of each source, then the second one of each, and so on."""
    left: deque[Iterator[T]] = deque()
    for source in chain(sources, _popped(left)):
        for item in islice(source, 1):
            yield item
            left.append(source)


def _popped(left: deque[T]) -> Iterator[T]:
    while left:
        yield left.popleft()


def _ranges(
    binding: Binding, driver: Driver, node: DataNode, wanted: Sequence[Request], is_enough: Callable[[], bool]
) -> Iterator[dg.RunRequest]:
    """Yields one run per range of one node; a range is cut only if there is no time to check all of it."""
    codec, attempts = binding.codecs[node.id], Attempts(driver, node)
    due = {request.partition: request for request in attempts.due(wanted)}
    position = {partition: number for number, partition in enumerate(due)}
    ranges = codec.runs_of(list(due))
    for members in sorted(ranges, key=lambda partitions: min(position[p] for p in partitions)):
        startable: dict[Partition, tuple[Request, str]] = {}
        for number, partition in enumerate(members, start=1):
            if (mark := attempts.next(due[partition])) is not None:
                startable[partition] = (due[partition], mark)
            if number % _PAGE == 0 and is_enough():
                break
        codec.register(driver.instance, list(startable))
        for partitions in codec.runs_of(list(startable)):
            yield _run(codec, node, attempts, [startable[partition] for partition in partitions])


def _run(codec: Codec, node: DataNode, attempts: Attempts, batch: Sequence[tuple[Request, str]]) -> dg.RunRequest:
    """Returns the request for one run, and remembers it."""
    requests, marks = [request for request, _ in batch], [mark for _, mark in batch]
    partitions = [request.partition for request in requests]
    attempts.mark_requested(requests)
    return dg.RunRequest(
        run_key=marks[0] if len(marks) == 1 else f"{marks[0]}+{len(marks)}:{marks[-1]}",
        partition_key=codec.encode(partitions[0]) if len(partitions) == 1 and codec.is_partitioned else None,
        asset_selection=[asset_key(node.application, node.id)],
        run_config=run_config(node, requests),
        tags={**run_tags(codec, partitions), TRIGGER_TAG: requests[0].id},
    )


class Attempts:
    """Decides which executions need a run now: those without a run, and those whose run is dead.

    For each, the driver remembers the number of the attempt, how many runs were requested for it, and when it last
    requested or saw a run.
    """

    def __init__(self, driver: Driver, node: DataNode) -> None:
        self._driver = driver
        self._node = node
        self._claims = driver.binding.claims

    def due(self, requests: Sequence[Request]) -> list[Request]:
        """Returns the executions to check in this tick: the others were requested or seen running a moment ago."""
        at = {request.id: self._driver.requested.get(request.id, _NEVER)[2] for request in requests}
        now = time.monotonic()
        return sorted((r for r in requests if now - at[r.id] >= LOOK_EVERY), key=lambda request: at[request.id])

    def next(self, request: Request) -> str | None:
        """Returns the run key of the run to request; None if one is under way.

        Dagster never starts two runs with one key. The key holds the number of the attempt, from the claims, and how
        often a run was requested for it, as a run may end before it claims anything.
        """
        attempt = self._due_attempt(request)
        if attempt is None:
            self._remember(request, *self._driver.requested.get(request.id, _NEVER)[:2])
            return None
        before, requested, _ = self._driver.requested.get(request.id, _NEVER)
        requested = requested if before == attempt else 0
        if attempt + requested >= MAX_ATTEMPTS:
            self._driver.recovery.give_up(self._node, request)
            return None
        if attempt == requested == 0 and skip_if_read(self._driver, self._node, request):
            return None
        self._remember(request, attempt, requested)
        return f"{request.id}.{attempt}.{requested}" if requested else f"{request.id}.{attempt}"

    def _due_attempt(self, request: Request) -> int | None:
        claim = self._claims.newest(request.id)
        if claim is not None:
            if not self._claims.is_over(request.id, claim):
                return None
            self._driver.recovery.mark_failed(str(claim.fields["run_id"]))
        if request.id in self._with_a_run:
            return None
        return 0 if claim is None else claim.attempt + 1

    @cached_property
    def _with_a_run(self) -> set[str]:
        return History(self._driver.binding, self._driver.log).about_to_begin(self._node)

    def mark_requested(self, requests: Iterable[Request]) -> None:
        """Remembers that runs were requested."""
        for request in requests:
            attempt, requested, _ = self._driver.requested[request.id]
            self._remember(request, attempt, requested + 1)
        if len(self._driver.requested) > _REMEMBERED:
            recent = time.monotonic() - _RECENT
            self._driver.requested = {i: seen for i, seen in self._driver.requested.items() if seen[2] > recent}

    def _remember(self, request: Request, attempt: int, requested: int) -> None:
        self._driver.requested[request.id] = (attempt, requested, time.monotonic())
