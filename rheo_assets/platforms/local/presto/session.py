"""A DuckDB connection of one task: in memory, locked into the object store."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from rheo_assets.platforms.local.presto.macros import definitions
from rheo_assets.platforms.local.presto.paths import Store


@contextlib.contextmanager
def session(store: Store, *, threads: int, memory_limit: str) -> Iterator[Any]:
    """Yields a connection that reaches the files of the store and nothing else.

    What does not fit in memory is spilled below the root, and gone when the session ends.
    """
    import duckdb

    store.base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".presto-", dir=store.root) as spill:
        connection = duckdb.connect(
            config={
                "threads": threads,
                "memory_limit": memory_limit,
                "temp_directory": spill,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            }
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET integer_division = true")  # 7 / 2 is 3 in Trino
            connection.execute("SET enable_progress_bar = false")
            connection.execute(definitions())
            connection.execute(f"SET allowed_directories = [{literal(f'{store.base}/')}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


def literal(text: str) -> str:
    """Returns the text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Returns the name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def file_list(files: Any) -> str:
    """Returns the paths as a SQL list."""
    return "[" + ", ".join(literal(str(file)) for file in files) + "]"
