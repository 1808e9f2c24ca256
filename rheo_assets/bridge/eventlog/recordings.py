"""Recordings: runs that are still recording their partitions.

A run over a range records its partitions at its end, which takes a while if there are many. What follows from the
first ones is launched a moment later, together with what follows from the rest.
"""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass, field

import dagster as dg

from rheo_assets.bridge.eventlog.entries import event_fields
from rheo_assets.bridge.names import RANGE_START_TAG

_QUIET = 30.0  # some ticks of a busy router: a run that has recorded nothing for so long is busy with something else
_LONGEST = 60.0
_REMEMBERED = 200


@dataclass
class _Recording:
    first: float
    last: float
    identities: set[str] = field(default_factory=set)


class Recordings:
    """The runs whose events were read a moment ago.

    It is only a hint in memory: without it, one range is launched as several runs.

    Args:
        instance: The Dagster instance.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._runs: dict[str, _Recording] = {}

    def note(self, identity: str, record: dg.EventLogRecord) -> None:
        """Remembers an event that a run recorded, or a driver for it."""
        observation = record.asset_observation
        run_id = record.run_id or (event_fields(observation.metadata).get("run") if observation is not None else None)
        if not run_id:
            return
        now = time.monotonic()
        if len(self._runs) > _REMEMBERED:  # they were not read for a while
            self._runs = {other: run for other, run in self._runs.items() if now - run.last <= _QUIET}
        run = self._runs.setdefault(run_id, _Recording(now, now))
        run.last = now
        run.identities.add(identity)

    def of_unfinished_runs(self, checked: Container[str] = ()) -> set[str]:
        """Returns the identities of the events of runs that are about to record more.

        Args:
            checked: Runs whose executions wait for blocking checks, which drivers record for them.
        """
        self._runs = {
            run_id: run for run_id, run in self._runs.items() if self._goes_on(run_id, run, run_id in checked)
        }
        return {identity for run in self._runs.values() for identity in run.identities}

    def _goes_on(self, run_id: str, recording: _Recording, is_checked: bool) -> bool:
        now = time.monotonic()
        if now - recording.last > _QUIET or now - recording.first > _LONGEST:
            return False
        run = self._instance.get_run_by_id(run_id) if not is_checked else None
        return is_checked or (run is not None and not run.is_finished and RANGE_START_TAG in run.tags)
