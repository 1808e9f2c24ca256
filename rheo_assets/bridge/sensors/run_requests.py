"""Run requests: what the daemon's router sensor asks Dagster to run, of what the router and the plans want."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

import dagster as dg

from rheo_assets.bridge.binding import Binding
from rheo_assets.bridge.claims.claims import MAX_ATTEMPTS
from rheo_assets.bridge.eventlog.history import History
from rheo_assets.bridge.execution.execution import Request
from rheo_assets.bridge.loop.driver import Driver
from rheo_assets.bridge.loop.local_runs import run_config, run_tags
from rheo_assets.bridge.loop.plans import Plans
from rheo_assets.bridge.names import TRIGGER_TAG, asset_key
from rheo_assets.errors import RheoError
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode

_log = logging.getLogger("rheo_assets")
LOOK_EVERY = 30.0  # how often it is looked whether what was asked for is under way
_NEVER = (0, 0, -math.inf)
_PAGE = 500
_REMEMBERED, _RECENT = 10_000, 3600.0


def planned(plans: Plans) -> Iterator[tuple[DataNode, list[Request]]]:
    """Yields what the plans ask for that nobody else carries out, and closes those that are over."""
    for run in plans.left():
        try:
            step = plans.step(run)
        except RheoError as error:  # its caller, if it still waits, is told the same
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
    """Yields a run for everything that is wanted and not under way, until it is enough."""
    for node, requests in wanted:
        attempts = Attempts(driver, node)
        due = attempts.due(requests)
        for start in range(0, len(due), _PAGE):
            yield from _page_requests(binding, driver, node, attempts, due[start : start + _PAGE])
            if is_enough():
                return


def _page_requests(
    binding: Binding, driver: Driver, node: DataNode, attempts: Attempts, wanted: Sequence[Request]
) -> Iterator[dg.RunRequest]:
    codec = binding.codecs[node.id]
    startable: dict[Partition, tuple[Request, str]] = {}
    for request in wanted:
        mark = attempts.next(request)
        if mark is not None:
            startable[request.partition] = (request, mark)
    codec.register(driver.instance, list(startable))
    for partitions in codec.runs_of(list(startable)):
        batch = [startable[partition] for partition in partitions]
        requests = [request for request, _ in batch]
        marks = [mark for _, mark in batch]
        attempts.asked(requests)
        yield dg.RunRequest(
            run_key=marks[0] if len(marks) == 1 else f"{marks[0]}+{len(marks)}:{marks[-1]}",
            partition_key=codec.encode(partitions[0]) if len(partitions) == 1 and codec.is_partitioned else None,
            asset_selection=[asset_key(node.application, node.id)],
            run_config=run_config(node, requests),
            tags={**run_tags(codec, partitions), TRIGGER_TAG: requests[0].id},
        )


class Attempts:
    """Which executions need a run now: those without one, and those whose run is dead.

    Of each the driver remembers the number of its attempt, how often a run was asked for since, and when that was or
    when it was found under way.
    """

    def __init__(self, driver: Driver, node: DataNode) -> None:
        self._driver = driver
        self._node = node
        self._claims = driver.binding.claims

    def due(self, requests: Sequence[Request]) -> list[Request]:
        """Returns those to look at in this tick: the others were asked for or found under way a moment ago."""
        at = {request.id: self._driver.asked.get(request.id, _NEVER)[2] for request in requests}
        now = time.monotonic()
        return sorted((r for r in requests if now - at[r.id] >= LOOK_EVERY), key=lambda request: at[request.id])

    def next(self, request: Request) -> str | None:
        """Returns the name of the run that is due, None when one is under way.

        Dagster starts no two runs of one name. So it has the number of the attempt, which the claims tell, and how
        often a run was asked for since: one may end before it claims anything.
        """
        attempt = self._due_attempt(request)
        if attempt is None:
            self._remember(request, *self._driver.asked.get(request.id, _NEVER)[:2])
            return None
        before, asked, _ = self._driver.asked.get(request.id, _NEVER)
        asked = asked if before == attempt else 0
        if attempt + asked >= MAX_ATTEMPTS:
            self._driver.give_up(self._node, request)
            return None
        self._remember(request, attempt, asked)
        return f"{request.id}.{attempt}.{asked}" if asked else f"{request.id}.{attempt}"

    def _due_attempt(self, request: Request) -> int | None:
        claim = self._claims.newest(request.id)
        if claim is not None:
            if not self._claims.is_over(request.id, claim):
                return None
            self._driver.mark_failed(str(claim.fields["run_id"]))
        if request.id in self._with_a_run:
            return None
        return 0 if claim is None else claim.attempt + 1

    @cached_property
    def _with_a_run(self) -> set[str]:
        return History(self._driver.binding, self._driver.log).about_to_begin(self._node)

    def asked(self, requests: Iterable[Request]) -> None:
        """Takes note of what has been asked for."""
        for request in requests:
            attempt, asked, _ = self._driver.asked[request.id]
            self._remember(request, attempt, asked + 1)
        if len(self._driver.asked) > _REMEMBERED:
            recent = time.monotonic() - _RECENT
            self._driver.asked = {i: said for i, said in self._driver.asked.items() if said[2] > recent}

    def _remember(self, request: Request, attempt: int, asked: int) -> None:
        self._driver.asked[request.id] = (attempt, asked, time.monotonic())
