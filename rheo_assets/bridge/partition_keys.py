"""Partition keys: how N dimensions become Dagster's {at most one time dimension} x {at most one composite of the rest}.

No other module builds or splits a key. Values are percent-encoded (Dagster forbids `| , [ ]` in keys). The values of a
composite are joined with `~`, which encoded values never contain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

import dagster as dg

from rheo_assets.model.dimensions import DatetimeGranularity, Dimension, Partition, Value
from rheo_assets.model.filters import Exactly, Filter
from rheo_assets.model.signals import Signal

_CRON = {
    DatetimeGranularity.YEAR: "0 0 1 1 *",
    DatetimeGranularity.MONTH: "0 0 1 * *",
    DatetimeGranularity.WEEK: "0 0 * * 1",
    DatetimeGranularity.DAY: "0 0 * * *",
}
_TIME_FORMAT = "%Y-%m-%d"
_SAFE = " :+=@"  # allowed in keys, and more readable than their codes
_JOINER = "~"
UNPARTITIONED = ""


@lru_cache(maxsize=4096)
def _encode(text: str) -> str:
    return quote(text, safe=_SAFE).replace(_JOINER, "%7E")


def time_key(moment: Value) -> str:
    """Returns the key of a value of the time dimension."""
    assert isinstance(moment, datetime)
    return moment.date().isoformat()


class _Time(NamedTuple):
    name: str
    start: datetime
    cron: str
    end_offset: int
    only: tuple[str, ...]


class _Composite(NamedTuple):
    name: str
    declared: tuple[str, ...] | None
    dynamic_name: str | None


# Equal definitions share one object: Dagster compares, hashes and describes each object separately, and an application
# has thousands of nodes with the same few shapes. The cache key is plain values, as a definition's hash is slow.
@lru_cache(maxsize=1024)
def _definition(time: _Time | None, composite: _Composite | None) -> dg.PartitionsDefinition | None:
    if time is not None and composite is not None:
        return dg.MultiPartitionsDefinition(
            {time.name: _definition(time, None), composite.name: _definition(None, composite)}  # type: ignore[dict-item]
        )
    if time is not None and time.only:
        return dg.StaticPartitionsDefinition(list(time.only))
    if time is not None:
        return dg.TimeWindowPartitionsDefinition(
            start=time.start, fmt=_TIME_FORMAT, cron_schedule=time.cron, timezone="UTC", end_offset=time.end_offset
        )
    if composite is None:
        return None
    if composite.declared is not None:
        return dg.StaticPartitionsDefinition(list(composite.declared))
    return dg.DynamicPartitionsDefinition(name=composite.dynamic_name)


@dataclass(frozen=True)
class Codec:
    """The partition keys of one signal.

    Args:
        signal: The signal.
        since: The first day that Dagster lists for time dimensions without a `min`; it limits nothing else.
        end_offset: How many time partitions are listed from the current one on; 2 is today and tomorrow.
        only: The time keys to list instead, if they are so far in the future that Dagster would count up to them.
    """

    signal: Signal
    since: datetime
    end_offset: int = 2
    only: tuple[str, ...] = ()

    @cached_property
    def time(self) -> Dimension | None:
        """The dimension that becomes Dagster's time dimension: the first DATETIME of granularity DAY or coarser."""
        return next((d for d in self.signal.spec if d.granularity in _CRON), None)

    @cached_property
    def others(self) -> tuple[Dimension, ...]:
        """The dimensions that form the composite."""
        return tuple(d for d in self.signal.spec if d is not self.time)

    @cached_property
    def composite_name(self) -> str:
        """The name of the composite dimension in Dagster."""
        return "_".join(d.name for d in self.others)

    @property
    def is_partitioned(self) -> bool:
        """Whether the signal has any dimensions."""
        return len(self.signal.spec) > 0

    # keys -----------------------------------------------------------------------------------------------------

    def encode(self, partition: Partition) -> str:
        """Returns the partition's key; empty for a signal without dimensions."""
        by_name = dict(zip(self.signal.spec.names, partition, strict=True))
        parts = {}
        if self.others:
            parts[self.composite_name] = _JOINER.join(_encode(d.render(by_name[d.name])) for d in self.others)
        if self.time is not None:
            parts[self.time.name] = time_key(by_name[self.time.name])
        return "|".join(parts[name] for name in sorted(parts))

    def decode(self, key: str) -> Partition:
        """Returns the partition of a key.

        Raises:
            ValueError: The key is not one of this signal's.
        """
        if not self.is_partitioned:
            return ()
        names = sorted(name for name in (self.composite_name if self.others else "", self._time_name) if name)
        texts = key.split("|")
        if len(texts) != len(names):
            raise ValueError(f"{key!r} is not a partition key of '{self.signal.id}', whose dimensions are {names}")
        values: dict[str, str] = {}
        for name, text in zip(names, texts, strict=True):
            if name == self._time_name:
                values[name] = text
                continue
            pieces = text.split(_JOINER)
            if len(pieces) != len(self.others):
                raise ValueError(f"{text!r} is not a value of {self.composite_name} of '{self.signal.id}'")
            values.update({d.name: unquote(piece) for d, piece in zip(self.others, pieces, strict=True)})
        partition = self.signal.spec.read([values[name] for name in self.signal.spec.names])
        if self.time is not None:
            moment = partition[self.signal.spec.index(self.time.name)]
            if moment.date().isoformat() != values[self._time_name]:  # type: ignore[union-attr]
                begins = f"no {self.time.granularity} of '{self.time.name}' begins then"
                raise ValueError(f"{key!r} is not a partition key of '{self.signal.id}': {begins}")
        return partition

    @property
    def _time_name(self) -> str:
        return self.time.name if self.time is not None else ""

    def composite_key(self, partition: Partition) -> str | None:
        """Returns the composite part of the partition's key; None if there is none."""
        if not self.others:
            return None
        index = {name: position for position, name in enumerate(self.signal.spec.names)}
        return _JOINER.join(_encode(d.render(partition[index[d.name]])) for d in self.others)

    # definitions ----------------------------------------------------------------------------------------------

    @cached_property
    def dynamic_name(self) -> str | None:
        """The name of the dynamic partitions definition of the composite's keys; None if the keys are declared."""
        if not self.others or self._declared_composites is not None:
            return None
        return f"{self.signal.application}/{self.signal.id}/{self.composite_name}"

    @cached_property
    def _declared_composites(self) -> tuple[str, ...] | None:
        return self.composites(self.signal.filter)

    def composites(self, among: Filter) -> tuple[str, ...] | None:
        """Returns the composite keys that a filter of the signal names; None if it leaves a dimension open."""
        names = self.signal.spec.names
        positions = [(dimension, names.index(dimension.name)) for dimension in self.others]
        keys: dict[str, None] = {}
        for branch in among.branches:
            values = [(dimension, branch[position]) for dimension, position in positions]
            texts = [_encode(d.render(c.value)) for d, c in values if isinstance(c, Exactly)]
            if len(texts) != len(values):
                return None
            keys[_JOINER.join(texts)] = None
        return tuple(keys)

    @cached_property
    def definition(self) -> dg.PartitionsDefinition | None:
        """Dagster's partitions definition; None for a signal without dimensions."""
        time = None
        if self.time is not None:
            start = self.time.granularity.truncate(self.time.min or self.since)  # type: ignore[union-attr]
            cron = _CRON[self.time.granularity]  # type: ignore[index]
            time = _Time(self.time.name, start, cron, self.end_offset, self.only)
        return _definition(time, self._composite)

    @property
    def composite_definition(self) -> dg.PartitionsDefinition | None:
        """The definition of the composite alone; None if there is none."""
        return _definition(None, self._composite)

    @cached_property
    def _composite(self) -> _Composite | None:
        if not self.others:
            return None
        return _Composite(self.composite_name, self._declared_composites, self.dynamic_name)

    def register(self, instance: dg.DagsterInstance, partitions: Sequence[Partition]) -> None:
        """Adds the dynamic keys of partitions that are about to be recorded or run."""
        if self.dynamic_name is None:
            return
        keys = dict.fromkeys(key for p in partitions if (key := self.composite_key(p)) is not None)
        known = set(instance.get_dynamic_partitions(self.dynamic_name))
        missing = [key for key in keys if key not in known]
        if missing:
            instance.add_dynamic_partitions(self.dynamic_name, missing)

    def between(self, first: Partition, last: Partition) -> Iterator[Partition]:
        """Yields the partitions of a contiguous time range of one composite key."""
        if self.time is None:
            yield from dict.fromkeys((first, last))
            return
        position = self.signal.spec.index(self.time.name)
        start, end = self.time.ordinal(first[position]), self.time.ordinal(last[position])
        for ordinal in range(start, end + 1):
            yield (*first[:position], self.time.at(ordinal), *first[position + 1 :])

    def runs_of(self, partitions: Sequence[Partition]) -> list[list[Partition]]:
        """Groups partitions by Dagster run: each run takes a contiguous time range of one composite key."""
        if self.time is None:
            return [[partition] for partition in partitions]
        position = self.signal.spec.index(self.time.name)
        by_composite: dict[str | None, list[Partition]] = {}
        for partition in partitions:
            by_composite.setdefault(self.composite_key(partition), []).append(partition)
        runs: list[list[Partition]] = []
        for members in by_composite.values():
            members.sort(key=lambda p: p[position])
            previous = None
            for partition in members:
                ordinal = self.time.ordinal(partition[position])
                if previous is None or ordinal != previous + 1:
                    runs.append([])
                runs[-1].append(partition)
                previous = ordinal
        return runs
