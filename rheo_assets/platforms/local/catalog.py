"""The catalog of the local platform: a table is a JSON file in the shape of Glue's `GetTable` answer."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rheo_assets.errors import DeclarationError, StateError, UnknownTable
from rheo_assets.model.glue.tables import GlueTable, dataset_of

_NAME = re.compile(r"\w[\w-]*\Z")
_LONGEST_NAME = 200  # bytes, so that the file's name fits every common file system


class LocalCatalog:
    """Returns tables by database and name, from `<root>/catalog/<database>/<table>.json`.

    You can save the output of `aws glue get-table` there. Names are case-insensitive, as in Glue.

    Args:
        root: The folder of the local platform.

    >>> import tempfile
    >>> catalog = LocalCatalog(tempfile.mkdtemp())
    >>> orders = GlueTable("s3://lake/orders", [("id", "bigint")], [("day", "date")])
    >>> table = catalog.register("shop", "orders", orders)
    >>> catalog.table("Shop", "ORDERS")["PartitionKeys"]
    [{'Name': 'day', 'Type': 'date'}]
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root) / "catalog"

    def databases(self) -> list[str]:
        """Returns the names of the databases, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if entry.is_dir() and _NAME.match(entry.name))

    def tables(self, database: str) -> list[str]:
        """Returns the names of a database's tables, sorted.

        Raises:
            UnknownTable: The database does not exist.
        """
        folder = self._folder(database)
        if not folder.is_dir():
            known = self.databases()
            raise UnknownTable(
                f"the local catalog has no database '{database}'",
                folder.name,
                known,
                f"Register a table in it: LocalCatalog({str(self.root.parent)!r}).register({database!r}, …)",
            )
        return sorted(file.stem for file in folder.glob("*.json") if _NAME.match(file.stem))

    def table(self, database: str, name: str) -> Mapping[str, Any]:
        """Returns a table as Glue's `GetTable` describes it.

        Raises:
            UnknownTable: The table does not exist; a `LookupError`.
            StateError: Its file does not describe a table.
        """
        path = self._path(database, name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise UnknownTable(
                f"the local catalog has no table '{name}' in database '{database}'",
                path.stem,
                self.tables(database),
                f"Register it: LocalCatalog({str(self.root.parent)!r}).register({database!r}, {name!r}, "
                f"GlueTable('s3://…', …)), or save the output of `aws glue get-table` as {path}",
            ) from None
        return {"DatabaseName": path.parent.name, "Name": path.stem, **_parsed(content, path)}

    def register(self, database: str, name: str, described: GlueTable) -> Mapping[str, Any]:
        """Writes a table, which replaces one of the same name, and returns it.

        Raises:
            DeclarationError: The table cannot be read as a dataset, or a name is not allowed.
        """
        path = self._path(database, name)
        table = described.describe(path.parent.name, path.stem)
        dataset_of(table)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".tmp-{uuid.uuid4().hex}"
        try:
            temporary.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return table

    def _folder(self, database: str) -> Path:
        return self._inside(self.root / _checked("database", database))

    def _path(self, database: str, name: str) -> Path:
        return self._inside(self._folder(database) / f"{_checked('table', name)}.json")

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise DeclarationError(f"local catalog: {path}", "is a symbolic link that leads outside the catalog")
        return path


def _checked(kind: str, name: object) -> str:
    if not isinstance(name, str) or not _NAME.match(name) or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise DeclarationError(
            f"{kind} {name!r}",
            "is not allowed as a name in the local catalog",
            f"Use letters, digits, '_' and '-', at most {_LONGEST_NAME} bytes",
        )
    return name.lower()


def _parsed(content: bytes, path: Path) -> Mapping[str, Any]:
    remedy = "Register the table again, or save the output of `aws glue get-table`"
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StateError(f"the local catalog's file {path} is not valid JSON ({error}). {remedy}") from error
    table = answer.get("Table", answer) if isinstance(answer, dict) else None
    if not isinstance(table, dict) or not isinstance(table.get("StorageDescriptor"), dict):
        raise StateError(
            f"the local catalog's file {path} does not describe a table with a StorageDescriptor. {remedy}"
        )
    return table
