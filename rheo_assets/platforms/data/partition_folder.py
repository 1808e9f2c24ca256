"""Finds the folder of a partition. Its name is the value, or parses to the value, as `SE` does to `se`.

If the path pattern has a `*`, the folder's name may continue after the value.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rheo_assets.errors import InvalidValue
from rheo_assets.model.datasets import PLACEHOLDER, WILDCARD, literal_or_any
from rheo_assets.model.dimensions import Dimension, Partition, Value
from rheo_assets.model.hive_folders import is_hive, meaning
from rheo_assets.model.nodes import DataNode, ExternalData
from rheo_assets.platforms.capabilities import Storage
from rheo_assets.runner.data_files import is_data

Found = tuple[tuple[str, ...], str]  # an object in storage: its path as parts, and its version


def partition_folder(storage: Storage, signal: DataNode | ExternalData, partition: Partition) -> str:
    """Returns the URI of the folder that is read for a partition.

    Several folders can be one partition of external data: a STRING dimension may fold values, `name=value` folders may
    be escaped, and a path may have a `*`. The folder spelled like the value is read if it contains anything, else the
    first folder that does.
    """
    if isinstance(signal, DataNode):
        return signal.layout.uri(signal.spec, partition)
    if signal.layout.has_wildcard:
        uri = signal.layout.uri(signal.spec, partition)
        return next((folder for folder in _folders(storage, signal, partition) if _is_there(storage, folder)), uri)
    uri, *escaped = signal.layout.uris(signal.spec, partition)
    folds = any(d.folds for d in signal.spec)
    if not (escaped or folds) or _is_there(storage, uri):
        return uri
    others = itertools.chain(escaped, _folders(storage, signal, partition) if folds else ())
    return next((folder for folder in others if _is_there(storage, folder)), uri)


def announcements(
    storage: Storage, signal: DataNode | ExternalData, passes: Callable[[tuple[str, ...]], bool] | None = None
) -> Iterator[Found]:
    """Returns the objects that announce partitions of a signal: their paths below its root, and their versions.

    These are the completion files of its protocol, or every data object if it has no protocol.
    `passes` names the folders that may be skipped; see `Storage.find`.
    """
    layout = signal.layout
    names = signal.protocol.files if signal.protocol is not None else None
    where = (layout.root, layout.depth(signal.spec), names)
    found = storage.find(*where) if passes is None else storage.find(*where, passes)
    return found if names is not None else (item for item in found if is_data("/".join(item[0])))


def _is_there(storage: Storage, folder: str) -> bool:
    return next(iter(storage.children(folder)), None) is not None


def _folders(storage: Storage, signal: ExternalData, partition: Partition) -> Iterator[str]:
    """Yields the folders that parse to a partition, sorted; lists only levels with a folding dimension."""
    found = iter([signal.layout.root])
    for level in _levels(signal, partition):
        found = level.below(storage, found)
    yield from found


@dataclass(frozen=True, slots=True)
class _Level:
    """One path segment: its pattern, and its dimensions with their values."""

    pattern: str
    values: tuple[tuple[Dimension, Value], ...]

    def below(self, storage: Storage, folders: Iterator[str]) -> Iterator[str]:
        if not any(dimension.folds for dimension, _ in self.values):
            yield from self._spelled(storage, folders)
            return
        expression = re.compile("(.+?)".join(map(literal_or_any, self.pattern.split(PLACEHOLDER))))
        for folder in folders:
            yield from (f"{folder}/{name}" for name in storage.children(folder) if self._reads(expression, name))

    def _spelled(self, storage: Storage, folders: Iterator[str]) -> Iterator[str]:
        """Yields the folder spelled like the values; for a pattern with a `*`, every existing folder that matches."""
        texts = [dimension.render(value) for dimension, value in self.values]
        first, *others = self.pattern.split(PLACEHOLDER)
        name = first + "".join(text + part for text, part in zip(texts, others, strict=True))
        if WILDCARD not in self.pattern:
            yield from (f"{folder}/{name}" for folder in folders)
            return
        above, _, _ = name.rpartition("/")
        pairs = zip(map(re.escape, texts), map(literal_or_any, others), strict=True)
        expression = re.compile(literal_or_any(first) + "".join(text + part for text, part in pairs))
        for folder in folders:
            parent = f"{folder}/{above}".rstrip("/")
            found = ("/".join(filter(None, (above, child))) for child in storage.children(parent))
            yield from (f"{folder}/{path}" for path in found if expression.fullmatch(path))

    def _reads(self, expression: re.Pattern[str], name: str) -> bool:
        match = expression.fullmatch(name)
        if match is None:
            return False
        texts = map(meaning, match.groups()) if is_hive(self.pattern) else match.groups()
        try:
            return all(
                dimension.comparable(dimension.read(text)) == dimension.comparable(value)
                if dimension.folds
                else dimension.render(value) == text
                for text, (dimension, value) in zip(texts, self.values, strict=True)
            )
        except InvalidValue:
            return False


def _levels(signal: ExternalData, partition: Partition) -> Iterator[_Level]:
    pairs = iter(zip(signal.spec, partition, strict=True))
    for pattern in signal.layout.segments:
        yield _Level(pattern, tuple(next(pairs) for _ in range(pattern.count(PLACEHOLDER))))
