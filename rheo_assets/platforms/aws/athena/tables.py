"""The inputs of a query as tables of the Glue Data Catalog, in a database of the query's own.

A table lists the very files that were chosen: its location holds a manifest that Hive's `SymlinkTextInputFormat`
reads, so that the partitions of a range and a nearest one are a plain table under the input's alias.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.athena.samples import DataFile, data_files, fetch_samples
from rheo_assets.platforms.aws.athena.types import hive_type
from rheo_assets.platforms.local.presto import csv_files
from rheo_assets.platforms.local.presto.files import partitions
from rheo_assets.platforms.local.presto.inputs import make_table
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.session import session
from rheo_assets.runner.csv_columns import has_header
from rheo_assets.runner.task import Task, TaskInput

_SYMLINK: Final = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"
_TEXT_OUTPUT: Final = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_SERDES: Final = {
    "parquet": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "json": "org.openx.data.jsonserde.JsonSerDe",
    "csv": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
}
_PRESTO: Final = {
    "int": "integer",
    "string": "varchar",
    "timestamp": "timestamp(3)",
    "float": "real",
    "binary": "varbinary",
}
_SHOWN: Final = 5
# A quote within quotes is doubled, which the SerDe reads whatever its escape is; its own would swallow backslashes, and
# it takes a quote for a backslash. So the escape is a character that no text has.
_NO_ESCAPE: Final = "\x7f"
_RAW: Final = "__text"  # what follows the alias of a table whose columns are all text


@dataclass(frozen=True, slots=True)
class InputTable:
    """One input as a table.

    Attributes:
        alias: Its name in the query.
        columns: Names and types, as Hive spells them.
        view: The statement that gives a table of text its types; empty where the table has them.
        warning: What is absent.
    """

    alias: str
    columns: tuple[tuple[str, str], ...]
    view: str = ""
    warning: str = ""


def database_name(task: Task) -> str:
    """Returns the database of one attempt."""
    return f"rheo_{hashlib.sha256(f'{task.application} {task.token}'.encode()).hexdigest()[:24]}"


class Tables:
    """Makes and removes the tables of queries.

    Args:
        account: Where the tables are made and the manifests written.
    """

    def __init__(self, account: Account) -> None:
        self._clients = account.clients
        self._storage = account.storage
        self._home = account.home

    def _glue(self) -> Any:
        return self._clients.client("glue")

    def make(self, task: Task) -> list[InputTable]:
        """Makes the database with a table for each input that the query names; what is there already stays.

        Raises:
            Refusal: An input cannot be read as one table.
        """
        try:
            return self._make(task)
        except self._glue().exceptions.EntityNotFoundException:  # another driver of this task has just ended
            return self._make(task)

    def _make(self, task: Task) -> list[InputTable]:
        database = database_name(task)
        told = f"inputs of one execution of {task.application}.{task.node}; may be deleted when it has ended"
        self._create(self._glue().create_database, DatabaseInput={"Name": database, "Description": told})
        read = [given for given in task.inputs if given.value is None and _names(task.code, given.alias)]
        return [self._table(task, given, database) for given in read]

    def drop(self, task: Task) -> None:
        """Removes the database with its tables and manifests."""
        with contextlib.suppress(self._glue().exceptions.EntityNotFoundException):
            self._glue().delete_database(Name=database_name(task))
        self._storage.delete(self._folder(task))

    def _folder(self, task: Task) -> str:
        return f"{self._home(task.application)}/queries/{database_name(task)}"

    @staticmethod
    def _create(call: Any, **arguments: Any) -> None:
        from botocore.exceptions import ClientError

        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AlreadyExistsException":
                raise

    def _table(self, task: Task, given: TaskInput, database: str) -> InputTable:
        if not given.present:
            what = "is absent here (it is optional)" if given.optional else "has no data"
            where = ", ".join(given.paths[:_SHOWN]) or "no partition"
            raise Refusal(
                f"its input '{given.alias}' {what}, and the query reads it: {where}. Land it; what a node of yours "
                "makes is built by execute(..., recursive=True)"
            )
        if given.format not in _SERDES:
            raise Refusal(
                f"the input '{given.alias}' is {given.format}, which a query here cannot read: write it as "
                f"{', '.join(_SERDES)}, or read it in a Spark target"
            )
        files = {uri: data_files(self._clients.client("s3"), uri) for uri in given.present}
        found = self._columns(given, files)
        location = f"{self._folder(task)}/{given.alias}"
        manifest = "\n".join(file.uri for listed in files.values() for file in listed)
        self._storage.write(f"{location}/manifest", manifest.encode())
        is_text = given.format == "csv"
        stored = [(name, "string") for name in found.names] if is_text else found.columns
        self._create(self._glue().create_table, DatabaseName=database, TableInput=_described(given, location, stored))
        view = _typed_view(given, found.columns) if is_text else ""
        return InputTable(given.alias, tuple(found.columns), view, " ".join(found.warnings))

    def _columns(self, given: TaskInput, files: dict[str, list[DataFile]]) -> _Columns:
        """Returns the columns: those declared, or as the files have them, merged and refused as they are locally."""
        if given.columns and given.format != "csv":
            return _Columns(given.columns)
        with tempfile.TemporaryDirectory(prefix="rheo-samples-") as folder:
            root = Path(folder)
            everything = [file for listed in files.values() for file in listed]
            fetch_samples(self._clients.client("s3"), everything, root, given.format)
            store = Store(root)
            with session(store, threads=1, memory_limit="512MB") as connection:
                made = make_table(given, store, connection, with_path=False)
                view = connection.view(given.alias)
                kinds = zip(view.columns, view.types, strict=True)
                # A manifest lists files, not folders: a query that names one fails there.
                found = tuple((name, hive_type(kind)) for name, kind in kinds if name not in made.folders)
                names = _names_by_position(given, store, connection) if given.format == "csv" else ()
                return _Columns(given.columns or found, names, made.warnings)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of an input, and of a csv the names in the order in which its files have them."""

    columns: Sequence[tuple[str, str]]
    names: Sequence[str] = ()
    warnings: Sequence[str] = ()


def _names_by_position(given: TaskInput, store: Store, connection: Any) -> tuple[str, ...]:
    """Returns the columns of csv files in the order of their headers, by which Athena does not go.

    Raises:
        Refusal: The files have them in several orders.
    """
    heads = csv_files.by_heads(given, [one for one in partitions(given, store) if one.files], connection)
    groups: dict[tuple[str, ...], list[Any]] = {}
    for head, of_head in heads.items():
        groups.setdefault(head.names, []).extend(of_head)
    (first, *others), (files, *other_files) = list(groups), list(groups.values())
    if others:
        raise Refusal(
            f"the input '{given.alias}' has csv files whose columns differ, and Athena reads them by their position: "
            f"{list(first)} in {files[0].uri}, {list(others[0])} in {other_files[0][0].uri}. Write one of them again, "
            "or read the input in a Spark target"
        )
    return first


def _names(code: str, alias: str) -> bool:
    return re.search(rf"\b{re.escape(alias)}\b", code, re.IGNORECASE) is not None


def _described(given: TaskInput, location: str, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    serde: dict[str, Any] = {"SerializationLibrary": _SERDES[given.format]}
    parameters = {"EXTERNAL": "TRUE", "classification": given.format}
    if given.format == "csv":
        delimiter = str(given.options.get("delimiter") or ",")
        serde["Parameters"] = {"separatorChar": delimiter, "quoteChar": '"', "escapeChar": _NO_ESCAPE}
        if has_header(given.options):
            parameters["skip.header.line.count"] = "1"
    return {
        "Name": (given.alias if given.format != "csv" else f"{given.alias}{_RAW}").lower(),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "StorageDescriptor": {
            "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
            "Location": location,
            "InputFormat": _SYMLINK,
            "OutputFormat": _TEXT_OUTPUT,
            "SerdeInfo": serde,
        },
    }


def _typed_view(given: TaskInput, columns: Sequence[tuple[str, str]]) -> str:
    """Returns the view of a table of text; an empty field is no value, as in the local engine."""
    typed = ", ".join(
        f'CAST(NULLIF("{name}", \'\') AS {_PRESTO.get(kind, kind)}) AS "{name}"' for name, kind in columns
    )
    return f'CREATE OR REPLACE VIEW "{given.alias}" AS SELECT {typed} FROM "{given.alias}{_RAW}"'
