"""One task from its SQL to its result, on one connection."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from rheo_assets.platforms.local.presto import output, script
from rheo_assets.platforms.local.presto.inputs import make_table
from rheo_assets.platforms.local.presto.parameters import Query, fill
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.problems import explain
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.script import Statement
from rheo_assets.platforms.local.presto.session import file_list, identifier
from rheo_assets.platforms.local.presto.translation.names import reads_path, tables_of
from rheo_assets.platforms.local.presto.translation.statements import Translated, translate
from rheo_assets.platforms.local.presto.types.kinds import ZONED, Type
from rheo_assets.platforms.local.presto.types.storage import of_column, without_length
from rheo_assets.runner.csv_columns import names_when_read
from rheo_assets.runner.task import Task, TaskResult

_RESULT = "athena_result"
_ADDED = "athena_added"
PREVIEW_ROWS = 10


class Execution:
    """Runs the statements of one task in order; the last is its output."""

    def __init__(self, task: Task, store: Store, connection: Any, check: Callable[[], None]) -> None:
        self.task = task
        self.store = store
        self.connection = connection
        self.check = check
        self.warnings: list[str] = []
        self.inputs = {given.alias.lower(): given for given in task.inputs if given.value is None}
        self.tables: dict[str, output.Destination | None] = {}
        self.views: set[str] = set()
        self.columns: dict[str, tuple[tuple[str, Type], ...]] = {}
        self.schema: tuple[tuple[str, Type], ...] = ()
        self.rows = 0

    def run(self) -> TaskResult:
        """Runs the task.

        Raises:
            Refusal: The query cannot be run, or failed.
        """
        started = time.monotonic()
        output.check_format(self.task.output)
        query = fill(self.task.code, parameters(self.task))
        statements = script.parse(query)
        if statements[-1].kind not in {"select", "table", "unload"}:
            raise Refusal("the last statement has no result for the node's output: end with a SELECT")
        self._make_tables(query)
        for statement in statements:
            self.check()
            self._run(statement, query, last=statement is statements[-1])
        self.check()
        if not self._is_streamed(statements[-1]):
            self._write(identifier(_RESULT))
        schema, preview = self._shown()
        return TaskResult(
            rows=self.rows,
            schema=schema,
            preview=preview,
            warnings=tuple(dict.fromkeys(self.warnings)),
            engine=engine_name(),
            seconds=time.monotonic() - started,
        )

    def _make_tables(self, query: Query) -> None:
        read, with_path = _read_by(query)
        for key, given in self.inputs.items():
            self.check()
            if key in read:
                make = partial(make_table, given, self.store, self.connection, with_path=with_path)
                table = explain(make, store=self.store)
                self.columns[key] = self._columns_of(given.alias)
                self.warnings += table.warnings

    def _run(self, statement: Statement, query: Query, *, last: bool) -> None:
        if statement.kind == "drop":
            self._drop(statement)
            return
        translated = _in_duckdb(
            query, statement.number, tuple({**dict.fromkeys(self.inputs, ()), **self.columns}.items())
        )
        sql = translated.stored if statement.kind != "view" else translated.sql

        def perform() -> None:
            if statement.kind == "insert":
                self._insert(statement, sql)
            elif statement.kind == "view":
                self._view(statement, translated)
            else:
                self._table(statement, translated, last=last)

        explain(perform, store=self.store, query=query, sql=sql)

    def _columns_of(self, table: str) -> tuple[tuple[str, Type], ...]:
        relation = self.connection.sql(f"SELECT * FROM {identifier(table)}")
        return tuple((name, of_column(kind)) for name, kind in zip(relation.columns, relation.types, strict=True))

    def _table(self, statement: Statement, translated: Translated, *, last: bool) -> None:
        name = statement.name.lower() if statement.kind == "table" else ""
        if name and not self._is_free(name, statement):
            return
        location = statement.location or str(statement.properties.get("external_location", ""))
        place = None
        if statement.kind != "select":
            place = output.destination(location, statement.properties)
            own = location.rstrip("/") == self.task.output.final.rstrip("/") and last
            if not location or own:
                place = None
            else:
                output.check_empty(place, self.store)
        elif not last:
            self.warnings.append(f"the result of statement {statement.number} is not used: the last one is the output")
            return
        _check_names(translated)
        selected, schema = translated.stored, _schema(translated)
        if last:
            declared = output.as_declared(selected, self.task.output, self.connection)
            if declared != selected:
                relation = self.connection.sql(declared)
                kinds = map(of_column, relation.types)
                selected, schema = declared, tuple(zip(relation.columns, kinds, strict=True))
            self.schema = schema
            self.warnings += _unwritten(schema)
        if last and self._is_streamed(statement):
            self._write(f"({selected})")
            return
        table = _RESULT if last else name or _ADDED
        self.connection.execute(f"CREATE TABLE {identifier(table)} AS {selected}")
        if place is not None:
            output.add_files(table, place, self.store, self.connection)
        if table == _ADDED:
            self.connection.execute(f"DROP TABLE {_ADDED}")
        elif name:
            self.tables[name] = place
            self.columns[name] = schema

    def _is_free(self, name: str, statement: Statement) -> bool:
        if name in self.inputs:
            raise Refusal(f"{statement.name!r} is an input of the node: give the {statement.kind} another name")
        if name in self.tables or name in self.views:
            if statement.lenient and statement.kind == "table":
                return False
            raise Refusal(f"the {statement.kind} {statement.name!r} exists already: DROP it first, or use another name")
        return True

    def _view(self, statement: Statement, translated: Translated) -> None:
        name = statement.name.lower()
        if not (statement.lenient and name in self.views):
            self._is_free(name, statement)
        self.connection.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS {translated.sql}")
        self.views.add(name)
        _check_names(translated)
        self.columns[name] = tuple(
            (own.strip('"'), kind) for own, (_, kind) in zip(translated.names, translated.columns, strict=True)
        )

    def _insert(self, statement: Statement, sql: str) -> None:
        name = statement.name.lower()
        if name not in self.tables:
            raise Refusal(
                f"INSERT INTO {statement.name}: only a table that this query created can be filled "
                f"(there are: {', '.join(self.tables) or 'none'})"
            )
        columns = f" ({', '.join(identifier(column) for column in statement.columns)})" if statement.columns else ""
        self.connection.execute(f"CREATE TABLE {_ADDED} AS SELECT * FROM {identifier(name)} LIMIT 0")
        self.connection.execute(f"INSERT INTO {_ADDED}{columns} {sql}")
        self.connection.execute(f"INSERT INTO {identifier(name)} SELECT * FROM {_ADDED}")
        place = self.tables[name]
        if place is not None:
            output.add_files(_ADDED, place, self.store, self.connection)
        self.connection.execute(f"DROP TABLE {_ADDED}")

    def _drop(self, statement: Statement) -> None:
        name = statement.name.lower()
        if name in self.tables or name in self.views:
            self.connection.execute(f"DROP {'TABLE' if name in self.tables else 'VIEW'} {identifier(name)}")
            self.tables.pop(name, None)
            self.columns.pop(name, None)
            self.views.discard(name)
        elif name in self.inputs or not statement.lenient:
            raise Refusal(f"DROP {statement.name}: only a table or view that this query created can be dropped")

    def _is_streamed(self, statement: Statement) -> bool:
        """Returns whether the output's rows go to its file as they are computed: only Parquet's can be read back."""
        return statement.kind == "select" and self.task.output.format == "parquet"

    def _write(self, source: str) -> None:
        """Writes the rows of a table or query in parentheses as the partition."""
        self.rows = explain(
            lambda: output.write_partition(source, self.task.output, self.store, self.connection), store=self.store
        )

    def _shown(self) -> tuple[tuple[tuple[str, str], ...], tuple[Mapping[str, Any], ...]]:
        """Returns the columns of what was written, as its readers name them, and its first rows."""
        if self.task.output.format == "parquet":
            written = file_list([output.file_of(self.task.output, self.store)])
            relation = self.connection.sql(f"SELECT * FROM read_parquet({written}, hive_partitioning = false)")
        else:
            relation = self.connection.table(_RESULT)
        schema = tuple((name, str(kind)) for name, kind in self.schema)
        shown = ", ".join(
            f"strftime({identifier(name)}, '%Y-%m-%d %H:%M:%S.%g UTC')"
            if kind.endswith("time zone")
            else identifier(name)
            for name, kind in schema
        )
        found = relation.limit(PREVIEW_ROWS).project(shown).fetchall()
        out = self.task.output
        names = names_when_read(relation.columns, out.format, out.options, out.columns)
        return (
            tuple(zip(names, (kind for _, kind in schema), strict=True)),
            tuple({n: plain(v) for n, v in zip(names, row, strict=True)} for row in found),
        )


_NOT_WRITTEN = ("json", "time", "interval", "uuid")


def _unwritten(schema: tuple[tuple[str, Type], ...]) -> list[str]:
    """Returns a warning for each column of a type that Athena can select but not write to a table."""
    found = []
    for name, kind in schema:
        if kind.name == "unknown":
            found.append(f"the column '{name}' is NULL without a type, which Athena cannot write to a table: CAST it")
        elif kind.name == ZONED or kind.name.split()[0] in _NOT_WRITTEN:
            remedy = "use json_format" if kind.name == "json" else "CAST it"
            found.append(f"the column '{name}' is of type {kind}, which Athena cannot write to a table: {remedy}")
    return found


def _check_names(translated: Translated) -> None:
    """Refuses a result with two columns of one name."""
    names = [name for name, _ in translated.columns if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refusal(f"the result has the column {twice[0]!r} more than once: give each an alias of its own")


def _schema(translated: Translated) -> tuple[tuple[str, Type], ...]:
    return tuple(
        (name or f"_col{index}", without_length(kind)) for index, (name, kind) in enumerate(translated.columns)
    )


@lru_cache(maxsize=64)
def _read_by(query: Query) -> tuple[frozenset[str], bool]:
    """Returns the tables that a query reads, and whether it reads the path of their files."""
    trees = [statement.tree for statement in script.parse(query) if statement.tree is not None]
    return frozenset(name for tree in trees for name in tables_of(tree)), any(map(reads_path, trees))


@lru_cache(maxsize=64)
def _in_duckdb(query: Query, number: int, tables: tuple[tuple[str, tuple[tuple[str, Type], ...]], ...]) -> Translated:
    """Returns a statement of a query, which finds these tables, in DuckDB's SQL."""
    return translate(query, script.parse(query)[number - 1].tree, dict(tables))


def parameters(task: Task) -> dict[str, Any]:
    """Returns what `{name}` may stand for: value inputs, the target's arguments, the output's dimensions."""
    values: dict[str, Any] = {given.alias: given.value for given in task.inputs if given.value is not None}
    values.update(task.args)
    values.update(task.dimensions)
    return values


def engine_name() -> str:
    """Returns the engine as a run's metadata shows it."""
    import duckdb

    return f"DuckDB {duckdb.__version__} (Presto SQL)"


def plain(value: Any) -> Any:
    """Returns a value as JSON knows it."""
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat(" ", "milliseconds") if isinstance(value, datetime.datetime) else str(value)
