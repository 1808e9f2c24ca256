"""The trigger groups of one node, and the operations on them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

from rheo_assets.errors import Contradiction, InvalidValue, LinkFailed, Undetermined
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.nodes import DataNode
from rheo_assets.routing.bucketed_dict import BucketedDict
from rheo_assets.routing.entries import AwaitsChecks, Began, Event, ManualExecution, Trigger
from rheo_assets.routing.failed_links import warn_held, warn_split
from rheo_assets.routing.group_index import GroupIndex
from rheo_assets.routing.group_readiness import GroupReadiness
from rheo_assets.routing.join_keys import JoinKeys
from rheo_assets.routing.trigger_group import Dropped, Key, TriggerGroup

_LATELY = 20
_TOLD = {"dropped", "expired"}


class NodeGroups:
    """The routing state of one data node, and the operations on it.

    Args:
        node: The node.
        cursor: The position up to which entries have been replayed; earlier entries are ignored.
    """

    def __init__(self, node: DataNode, cursor: int = -1) -> None:
        self.node = node
        self.cursor = cursor
        self._index = GroupIndex(JoinKeys(node))
        self.groups, self.held = self._index.groups, self._index.held
        self.runnable: dict[int, None] = {}
        self.injected: set[Key] = set()
        self.in_flight: BucketedDict[Partition, Trigger] = BucketedDict()
        self.manual: dict[Partition, ManualExecution] = {}
        self.checked: dict[str, AwaitsChecks] = {}
        self.counts: Counter[str] = Counter()
        self.lately: deque[Dropped] = deque(maxlen=_LATELY)
        self.is_changed = False
        self._needs = GroupReadiness(node)
        self.sources = self._needs.sources
        self._plain = [alias for alias, view in node.inputs.items() if view.needs_event]
        self._fresh: dict[Key, None] = {}

    # events ---------------------------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        """Offers an event to the waiting groups; starts a new group if none accepts it."""
        key = (event.node, event.partition)
        if not event.has_data and self._needs.is_range_checked(event.node):
            self.injected.add(key)
        self._mark_ready(key, event.identity)
        satisfied = [
            alias
            for alias in self._plain
            if self.sources[alias] == event.node and self.node.inputs[alias].admits(event.partition)
        ]
        self._place(satisfied, event)

    def _place(self, aliases: list[str], event: Event) -> None:
        apart: dict[str, LinkFailed] = {}
        untaken = [alias for alias in aliases if not self._offer_alias(alias, event, apart)]
        failures: dict[str, LinkFailed] = {}
        while untaken:
            group = TriggerGroup(self._index.next_number, event.at)
            failures.clear()
            taken = [alias for alias in untaken if self._receive(group, alias, event, failures)]
            if not taken:
                if failures:
                    self._hold(group, event, failures)
                else:
                    self._let_go(untaken[0], event)
                break
            self._insert(group)
            untaken = [alias for alias in untaken if alias not in taken]
        for alias, error in apart.items():
            if alias not in failures:  # those are held back, and offered again later
                warn_split(self.node, str(error))

    def _let_go(self, alias: str, event: Event) -> None:
        self.counts["dropped"] += 1
        self.lately.append(Dropped("dropped", {alias: event.partition}))

    def _hold(self, group: TriggerGroup, event: Event, failures: dict[str, LinkFailed]) -> None:
        """Holds back an event that fits no rule or group only because a link's function failed on it."""
        group.received = dict.fromkeys(failures, event.partition)
        group.identities = dict.fromkeys(failures, event.identity)
        group.failure = str(next(iter(failures.values())))
        self._insert(group)
        warn_held(self.node, event, group.failure, len(self.held))

    def offer_again(self) -> None:
        """Offers held-back events again: the links may have been corrected."""
        for number in list(self.held):
            group = self.groups[number]
            self._remove(group)
            events: dict[Event, list[str]] = {}
            for alias, partition in group.received.items():
                event = Event(self.cursor, self.sources[alias], partition, group.identities[alias], group.created)
                events.setdefault(event, []).append(alias)
            for event, aliases in events.items():
                self._place(aliases, event)
            for source, partition in group.unready & {(e.node, e.partition) for e in events} - self.injected:
                self.mark_gone(source, partition)

    def _offer_alias(self, alias: str, event: Event, failures: dict[str, LinkFailed]) -> bool:
        taken = False
        for group in self._index.joining(alias, event.partition):
            if alias in group.received:
                if self._same(alias, group.received[alias], event.partition):
                    group.causes.add(event.identity)
                    taken = True
            elif not group.failure and self._receive(group, alias, event, failures):
                taken = True
                self._advance(group)
        return taken

    def _receive(self, group: TriggerGroup, alias: str, event: Event, failures: dict[str, LinkFailed]) -> bool:
        """Adds an event to a group if it fits; records a failure if a link's function failed."""
        proposal = {**group.received, alias: event.partition}
        complete = len(proposal) == len(self._plain)
        try:
            solution = self.node.linkage.solve(proposal, allow_guesses=complete)
        except LinkFailed as error:
            failures[alias] = error
            return False
        except Contradiction:
            return False
        if solution.output is not None and not self._admits(solution.output):
            return False
        group.received[alias] = event.partition
        group.identities[alias] = event.identity
        self.groups.touch(group.number)
        if complete:
            group.tips = {name: tip for name, tip in solution.tips.items() if tip is not None}
            group.output = solution.output
        return True

    def _insert(self, group: TriggerGroup) -> None:
        self._index.insert(group)
        self._advance(group)

    # completion -----------------------------------------------------------------------------------------------

    def _advance(self, group: TriggerGroup) -> None:
        if group.tips is None:
            return
        if group.output is None or len(group.tips) != len(self.sources) or not self._needs.note(group):
            self._drop(group, "dropped")
            return
        group.unready -= self.injected
        self._fresh.update(dict.fromkeys(group.unready | self._needs.nearest(group)))
        self._await(group)

    def _admits(self, output: Partition) -> bool:
        try:
            self.node.spec.read(output)
        except InvalidValue:
            return False
        return self.node.filter.admits(self.node.spec, output)

    def _await(self, group: TriggerGroup) -> None:
        self._index.await_partitions(group, self._needs.of(group))
        self._watch(group)

    def _watch(self, group: TriggerGroup) -> None:
        if self._needs.are_met(group):
            self.runnable[group.number] = None
        else:
            self.runnable.pop(group.number, None)

    # readiness ------------------------------------------------------------------------------------------------

    def mark_ready(self, source: str, partition: Partition) -> None:
        """Notes that a partition was found complete in storage."""
        self._mark_ready((source, partition))

    def _mark_ready(self, key: Key, event: str | None = None) -> None:
        """Notes that a partition is ready, because of the event of that identity, or as the storage shows."""
        if self._index.is_awaited(key) and event is not None:
            self._fresh[key] = None  # a nearest input looks at the storage only
        for group in self._index.awaiting(key):
            group.unready.discard(key)
            if event is not None:
                group.causes.add(event)
            else:
                group.found.add(key)
            self.groups.touch(group.number)
            self._watch(group)

    def mark_gone(self, source: str, partition: Partition) -> None:
        """Notes that a partition is no longer complete in storage."""
        key = (source, partition)
        self.injected.discard(key)
        for group in self._index.awaiting(key):
            group.found.discard(key)
            if key in self._needs.ranged(group):
                group.unready.add(key)
            self._fresh[key] = None
            self.groups.touch(group.number)
            self._watch(group)
        for group in self._incomplete_with(key):
            group.unready.add(key)
            self.groups.touch(group.number)

    def _incomplete_with(self, key: Key) -> list[TriggerGroup]:
        """Returns the groups that have received the event of this range-checked partition and still wait for others."""
        source, partition = key
        found = {}
        for alias in self._plain:
            if self.sources[alias] == source and self.node.inputs[alias].checks_range:
                for group in self._index.joining(alias, partition):
                    if group.tips is None and group.received.get(alias) == partition:
                        found[group.number] = group
        return list(found.values())

    def take_fresh(self) -> list[Key]:
        """Returns, once, the awaited partitions that have not been looked for in storage yet."""
        fresh = [key for key in self._fresh if self._index.is_awaited(key)]
        self._fresh.clear()
        return fresh

    def waits_for(self, key: Key) -> bool:
        """Returns whether a group waits for a partition to be found in storage."""
        return any(self._needs.wait_for(group, key) for group in self._index.awaiting(key))

    # turns ----------------------------------------------------------------------------------------------------

    def next_expiry(self) -> float | None:
        """Returns when the oldest group expires; None if no group ever does."""
        if self.node.ttl is None:
            return None
        oldest = self._index.oldest()
        return oldest.created + self.node.ttl if oldest is not None else None

    def expire(self, now: float) -> None:
        """Drops the groups that have waited longer than the node's time to live."""
        while (expiry := self.next_expiry()) is not None and expiry <= now:
            oldest = self._index.oldest()
            assert oldest is not None  # it is the one that expires
            self._drop(oldest, "expired")

    def emit(self, turn: int, is_held: Callable[[TriggerGroup], bool]) -> list[Trigger]:
        """Removes the runnable groups, oldest first, and returns the executions to start.

        Args:
            turn: The position of the turn.
            is_held: Returns whether a plan holds a group's output; the group is then absorbed.
        """
        triggers = []
        for number in sorted(self.runnable):  # not in the order of readiness: a restored driver knows only the numbers
            group = self.groups[number]
            assert group.output is not None
            assert group.tips is not None
            nearest = group.chosen(self.sources)
            assert nearest is not None
            if is_held(group):
                self._drop(group, "absorbed")
                continue
            if group.output in self.in_flight or group.output in self.manual:
                self._drop(group, "skipped")
                continue
            self._drop(group, "emitted")
            identities = tuple(sorted(set(group.identities.values())))
            causes = frozenset(group.causes.union(identities))
            trigger = Trigger(self.node.id, group.output, group.tips, nearest, identities, turn, causes)
            self.in_flight[group.output] = trigger
            triggers.append(trigger)
        return triggers

    def began(self, entry: Began) -> None:
        """Notes that a manual run executes partitions: their groups are skipped until it has finished.

        Groups that are already complete are dropped too: their data existed before the execution started to read.
        """
        for partition, execution in entry.executions.items():
            self.manual[partition] = ManualExecution(execution, entry.run, entry.owner)
            for group in self._complete_for(partition):
                self._drop(group, "skipped")

    def _complete_for(self, partition: Partition) -> list[TriggerGroup]:
        """Returns the complete groups that would read the same as an execution given only the partition."""
        try:
            tips = self.node.linkage.resolve_output(partition)
        except (Undetermined, Contradiction):
            return []
        wanted = {alias: tips[alias] for alias in self._plain}
        groups = next((self._index.joining(alias, tip) for alias, tip in wanted.items()), [])
        return [
            group
            for group in groups
            if group.output == partition
            and group.received.keys() == wanted.keys()
            and all(self._same(alias, group.received[alias], tip) for alias, tip in wanted.items())
        ]

    def ended(self, partition: Partition, execution: str | None) -> None:
        """Notes that an execution of the partition has finished; one of a plan or a manual run ends no other."""
        if execution is not None:
            self.checked.pop(execution, None)
        other = self.manual.get(partition)
        if other is not None and other.execution == execution:
            self.manual.pop(partition)
        trigger = self.in_flight.get(partition)
        if trigger is not None and trigger.execution_id(self.node.application) == execution:
            self.in_flight.pop(partition)

    def _drop(self, group: TriggerGroup, reason: str) -> None:
        self.counts[reason] += 1
        if reason in _TOLD:
            self.lately.append(Dropped(reason, group.received))
        self._remove(group)

    def _remove(self, group: TriggerGroup) -> None:
        self.runnable.pop(group.number, None)
        self._index.remove(group, self._needs.of(group))

    # restoring ------------------------------------------------------------------------------------------------

    def restore(self, bucket: int, groups: list[TriggerGroup]) -> None:
        """Restores the recorded groups of one bucket and indexes them."""
        self._index.restore(bucket, groups)
        for group in groups:
            if not group.failure and group.tips is not None:
                self._await(group)

    @property
    def next_number(self) -> int:
        """The number of the next group."""
        return self._index.next_number

    @next_number.setter
    def next_number(self, number: int) -> None:
        self._index.next_number = number

    def take_as_changed(self) -> None:
        """Makes the next save write all rows, because the recorded state does not fit the current declaration."""
        self.is_changed = True
        for shelf in (self.groups, self.in_flight):
            shelf.dirty.update(range(shelf.buckets))

    def mark_of(self, group: TriggerGroup) -> str:
        """Returns the mark of a group's needs, as `resume` expects it."""
        return self._needs.mark(group)

    def resume(self, group: TriggerGroup, unready: set[Key], mark: str) -> bool:
        """Solves a recorded group under the current declaration; returns whether it is still valid.

        If it now needs other partitions, all of them are looked for again. If a link's function fails on it now, it
        is held back.
        """
        complete = len(group.received) == len(self._plain)
        try:
            solution = self.node.linkage.solve(group.received, allow_guesses=complete)
        except LinkFailed as error:
            group.failure, group.unready = str(error), unready
            return True
        except Contradiction:
            return False
        if not complete:
            group.unready = unready
            return True
        group.tips = {name: tip for name, tip in solution.tips.items() if tip is not None}
        group.output = solution.output
        if group.output is None or len(group.tips) != len(self.sources) or not self._admits(group.output):
            return False
        self._needs.note_nearest(group)
        group.unready = unready & self._needs.ranged(group)
        if mark != self._needs.mark(group) and not self._needs.note(group):
            return False
        group.unready -= self.injected
        self._fresh.update(dict.fromkeys(group.unready | self._needs.nearest(group)))
        return True

    def _same(self, alias: str, one: Partition, other: Partition) -> bool:
        return self.node.inputs[alias].is_same_tip(one, other)
