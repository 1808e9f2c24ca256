"""Reads what a job says while it runs: the numbered files that the runner writes inside the job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rheo_assets.platforms.capabilities import Storage


class PipesMessages:
    """The lines of a job's Dagster Pipes messages; see `Messages`.

    Args:
        storage: Where the job writes.
        uri: The folder of its messages: `1.json`, `2.json`, …
    """

    def __init__(self, storage: Storage, uri: str) -> None:
        self._storage = storage
        self._uri = uri
        self._next = 1

    def read(self) -> list[str]:
        """Returns the lines of the files that are new; a look that finds none costs one call."""
        lines: list[str] = []
        while True:
            try:
                content = self._storage.read(f"{self._uri}/{self._next}.json")
            except FileNotFoundError:
                return lines
            self._next += 1
            for text in content.decode().splitlines():
                lines += lines_of(json.loads(text))


def lines_of(message: Mapping[str, Any]) -> Iterator[str]:
    """Yields what a Pipes message says to people; the protocol's own messages say nothing."""
    method, params = message.get("method"), message.get("params") or {}
    if method == "log_external_stream":
        yield from str(params.get("text", "")).splitlines()
    elif method == "log":
        level = str(params.get("level", "INFO"))
        said = str(params.get("message", ""))
        yield said if level in {"INFO", "DEBUG"} else f"{level}: {said}"
    elif method not in {"opened", "closed"}:
        yield f"{method}: {json.dumps(params)}"
