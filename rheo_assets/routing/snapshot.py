"""The router's state between processes: a cache of the replay, saved row by row.

Drivers never share rows. Each live driver has a slot and writes only there. A new driver starts from the slot that is
furthest ahead and copies it once. With shared rows, a slow driver could write an old row under another driver's new
cursor, and the entries in between would never be replayed into that row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from rheo_assets.errors import StateError
from rheo_assets.model.nodes import DataNode
from rheo_assets.model.topology import Topology
from rheo_assets.routing.node_groups import NodeGroups
from rheo_assets.routing.router import Router
from rheo_assets.routing.state_rows import (
    dump_header,
    dump_node,
    dump_plans,
    head_of,
    later_buckets,
    load_header,
    load_node,
    load_plans,
    load_reported,
)

_log = logging.getLogger("rheo_assets")

SNAPSHOT_SLOTS: Final = 8
_TRIES: Final = 50
_MOST: Final = 3000
_PLANS, _NODES = "plans", "nodes"


class Rows(Protocol):
    """A key-value store."""

    def rows(self, keys: Iterable[str]) -> Mapping[str, str]:
        """Returns the rows that exist."""

    def put_rows(self, rows: Mapping[str, str]) -> None:
        """Writes rows. After a crash, some new rows may exist; existing rows change all or none."""


class Snapshot:
    """Loads and saves one driver's router.

    Args:
        topology: The application's nodes.
        rows: The store of the rows.
        slot: This driver's own slot; None to save nothing.
    """

    def __init__(self, topology: Topology, rows: Rows, slot: int | None) -> None:
        self.topology = topology
        self.is_new = True
        self._rows = rows
        self._slot = slot
        self._from: int | None = None
        self._reading = -1
        self._found: dict[str, dict[str, str]] = {}
        self._others: dict[str, str] = {}
        self._saved_nodes: set[str] = set()
        self._nodes_are_saved = False
        self._saved_cursor = -1
        self._edition = 0

    def _key(self, slot: int | None, *parts: str) -> str:
        return "/".join([f"rheo/{self.topology.application}/router", str(slot), *parts])

    @staticmethod
    def _parts(node_id: str, name: str) -> tuple[str, ...]:
        return ("node", node_id, name) if name else ("node", node_id)

    # loading --------------------------------------------------------------------------------------------------

    def load(self) -> Router:
        """Returns the router as the driver furthest ahead saved it; a new one if nothing was saved."""
        for _ in range(_TRIES):
            headers, damaged = self._headers()
            if not headers and not damaged:
                return Router(self.topology)
            self.is_new = False
            for slot in sorted(headers, key=lambda number: (headers[number], number == self._slot), reverse=True):
                try:
                    if not self._read(slot):
                        break  # another driver has just saved it: try again
                    cursor, self._edition = headers[slot]
                    router = self._router(cursor)
                except StateError as error:
                    _log.warning("%s", error)
                    damaged.append(error)
                    continue
                self._from = slot
                return router
            else:
                raise damaged[-1]  # an older state would do, but none is readable
        raise StateError(
            f"application '{self.topology.application}': another driver saves its routing state faster than this one "
            "can read it. Stop one of them"
        )

    def _headers(self) -> tuple[dict[int, tuple[int, int]], list[StateError]]:
        keys = {self._key(slot): slot for slot in range(SNAPSHOT_SLOTS)}
        found, damaged = {}, []
        for key, text in self._rows.rows(keys).items():
            if text:
                try:
                    found[keys[key]] = load_header(text)
                except (StateError, LookupError, TypeError, ValueError) as error:
                    damaged.append(self._damaged(key, error))
        return found, damaged

    def _damaged(self, key: str, error: Exception) -> StateError:
        return StateError(
            f"application '{self.topology.application}': its routing state in the key-value row '{key}' cannot be "
            f"read: {error}. Restore the row from a backup, or continue without it: "
            f"DagsterInstance.get().run_storage.set_cursor_values({{{key!r}: ''}}). Its waiting trigger groups and "
            "queued executions are then lost; app.process(view) reports an event again"
        )

    def _read(self, slot: int) -> bool:
        """Reads a slot's rows; returns whether no driver wrote between the first and the last read."""
        header = self._rows.rows([self._key(slot)])
        self._others = self._texts({name: self._key(slot, name) for name in (_PLANS, _NODES)})
        try:
            self._saved_nodes = set(json.loads(self._others.get(_NODES, "[]")))
        except (TypeError, ValueError) as error:
            raise self._damaged(self._key(slot, _NODES), error) from None
        self._reading = slot
        self._nodes_are_saved = self._saved_nodes == self.topology.data_nodes.keys()
        ids = [node_id for node_id in self.topology.data_nodes if node_id in self._saved_nodes]
        heads = self._texts({node_id: self._key(slot, *self._parts(node_id, "")) for node_id in ids})
        self._found = {node_id: {"": text} for node_id, text in heads.items()}
        later: dict[tuple[str, str], str] = {}
        for node_id, text in heads.items():
            for name in self._later(node_id, text):
                later[node_id, name] = self._key(slot, *self._parts(node_id, name))
        for (node_id, name), text in self._texts(later).items():
            self._found[node_id][name] = text
        return self._rows.rows([self._key(slot)]) == header

    def _texts(self, keys: Mapping[Any, str]) -> dict[Any, str]:
        found = self._rows.rows(keys.values()) if keys else {}
        return {name: found[key] for name, key in keys.items() if found.get(key)}

    @staticmethod
    def _later(node_id: str, text: str) -> list[str]:
        try:
            return later_buckets(head_of(node_id, text))
        except (StateError, KeyError, TypeError, ValueError):
            return []

    def _router(self, cursor: int) -> Router:
        try:
            text = self._others.get(_PLANS)
            plans = load_plans(self.topology, text) if text is not None else {}
            reported = load_reported(self.topology, text) if text is not None else {}
        except (StateError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(self._key(self._reading, _PLANS), error) from None
        router = Router(self.topology, self._load_node, cursor, plans, reported)
        for node_id, rows in self._found.items():
            if not _is_idle(rows[""]):
                router.groups(node_id)
        self._saved_cursor = cursor
        return router

    def _load_node(self, node: DataNode) -> NodeGroups | None:
        rows = self._found.get(node.id)
        if rows is None:
            return None
        try:
            return load_node(node, self.topology, rows)
        except (StateError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(self._key(self._reading, *self._parts(node.id, "")), error) from None

    # saving ---------------------------------------------------------------------------------------------------

    def save(self, router: Router) -> None:
        """Writes what has changed since the last save; the header is written last."""
        if self._slot is None or not (router.dirty or router.plans_changed or router.cursor != self._saved_cursor):
            return
        batches = [*self._inherited(), *self._changed_nodes(router)]
        last = self._changed_others(router)
        last[self._key(self._slot)] = dump_header(router.cursor, self._edition + router.is_trimmed)
        for batch in _packed([*batches, last]):
            self._rows.put_rows(batch)
        router.dirty.clear()
        router.plans_changed = False
        self._from = self._slot
        self._saved_cursor = router.cursor

    def _changed_nodes(self, router: Router) -> Iterator[dict[str, str]]:
        for node_id in router.dirty:
            rows = dump_node(router.groups(node_id), self.topology, router.cursor)
            yield {self._key(self._slot, *self._parts(node_id, name)): text for name, text in rows.items()}

    def _changed_others(self, router: Router) -> dict[str, str]:
        rows = {}
        if router.plans_changed or self._from != self._slot:
            rows[self._key(self._slot, _PLANS)] = dump_plans(router)
        if not self._nodes_are_saved or self._from != self._slot:
            joined = self.topology.data_nodes.keys() - self._saved_nodes - router.dirty
            for node_id in joined:  # it may have been saved here before, and removed
                rows[self._key(self._slot, *self._parts(node_id, ""))] = ""
            self._saved_nodes = set(self.topology.data_nodes)
            self._nodes_are_saved = True
            rows[self._key(self._slot, _NODES)] = json.dumps(sorted(self._saved_nodes))
        return rows

    def _inherited(self) -> Iterator[dict[str, str]]:
        """Yields the rows of the slot that this driver started from, to be copied; blanks its own older rows."""
        if self._from == self._slot:
            return
        own = self._key(self._slot)
        if self._rows.rows([own]):
            self._rows.put_rows({own: ""})  # until everything is written, this slot counts as empty
        for node_id, rows in self._found.items():
            yield {self._key(self._slot, *self._parts(node_id, name)): text for name, text in rows.items()}
        heads = {self._key(self._slot, *self._parts(n, "")) for n in self.topology.data_nodes if n not in self._found}
        yield from ({key: ""} for key in self._rows.rows(heads))


def _packed(batches: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Yields larger batches. Rows of one batch stay together, and later rows win."""
    packed: dict[str, str] = {}
    for batch in batches:
        if packed and len(packed) + len(batch) > _MOST:
            yield packed
            packed = {}
        packed.update(batch)
    yield packed


def _is_idle(text: str) -> bool:
    try:
        head = json.loads(text)
        waits = head["groups"] or head["in_flight"] or head.get("manual") or head.get("checked")
        return not waits and max(head["buckets"]) <= 1
    except (ValueError, LookupError, TypeError):
        return False
