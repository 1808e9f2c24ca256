"""One task from its SQL to its result, on one connection."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from rheo_assets.platforms.local.presto import athena_types, output, rewrites, script
from rheo_assets.platforms.local.presto.inputs import make_table
from rheo_assets.platforms.local.presto.parameters import Query, fill
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.problems import explain
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.platforms.local.presto.script import Statement
from rheo_assets.platforms.local.presto.session import file_list, identifier
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
        self.columns: dict[str, tuple[str, ...]] = {}
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
                self.columns[key] = table.columns
                self.warnings += table.warnings

    def _run(self, statement: Statement, query: Query, *, last: bool) -> None:
        if statement.kind == "drop":
            self._drop(statement)
            return
        rewritten = _in_duckdb(query, statement.number, (*self.inputs, *self.tables, *self.views))
        self.warnings += rewritten.warnings
        sql, bound = explain(
            lambda: self._bound(rewritten.candidates),
            store=self.store,
            query=query,
            columns=[name for names in self.columns.values() for name in names],
        )

        def perform() -> None:
            if statement.kind == "insert":
                self._insert(statement, sql)
            elif statement.kind == "view":
                self._view(statement, sql)
            else:
                self._table(statement, sql, bound, last=last)

        explain(perform, store=self.store, query=query, sql=sql)

    def _bound(self, candidates: tuple[str, ...]) -> tuple[str, Any]:
        """Returns the first spelling whose types fit, and the relation that it stands for."""
        import duckdb

        first: Exception | None = None
        for sql in candidates:
            try:
                relation = self.connection.sql(sql)
            except duckdb.BinderException as error:
                first = first if first and "map_entries" not in str(first) else error
            else:
                return sql, relation
        assert first is not None
        raise first

    def _table(self, statement: Statement, sql: str, bound: Any, *, last: bool) -> None:
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
        selected = _as_stored(sql, bound)
        if last:
            selected = output.as_declared(selected, self.task.output, self.connection)
            self.warnings += _untyped(bound)
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
            self.columns[name] = tuple(self.connection.table(table).columns)

    def _is_free(self, name: str, statement: Statement) -> bool:
        if name in self.inputs:
            raise Refusal(f"{statement.name!r} is an input of the node: give the {statement.kind} another name")
        if name in self.tables or name in self.views:
            if statement.lenient and statement.kind == "table":
                return False
            raise Refusal(f"the {statement.kind} {statement.name!r} exists already: DROP it first, or use another name")
        return True

    def _view(self, statement: Statement, sql: str) -> None:
        name = statement.name.lower()
        if not (statement.lenient and name in self.views):
            self._is_free(name, statement)
        self.connection.execute(f"CREATE OR REPLACE VIEW {identifier(name)} AS {sql}")
        self.views.add(name)
        self.columns[name] = tuple(self.connection.view(name).columns)

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
        schema = tuple(
            (name, athena_types.athena_name(kind)) for name, kind in zip(relation.columns, relation.types, strict=True)
        )
        for name, kind in schema:
            if kind in athena_types.NOT_WRITTEN:
                self.warnings.append(
                    f"the column '{name}' is of type {kind}, which Athena cannot write to a table: "
                    + ("use json_format" if kind == "json" else "CAST it")
                )
        shown = ", ".join(
            f"athena_varchar({identifier(name)})" if kind.endswith("time zone") else identifier(name)
            for name, kind in schema
        )
        found = relation.limit(PREVIEW_ROWS).project(shown).fetchall()
        out = self.task.output
        names = names_when_read(relation.columns, out.format, out.options, out.columns)
        return (
            tuple(zip(names, (kind for _, kind in schema), strict=True)),
            tuple({n: plain(v) for n, v in zip(names, row, strict=True)} for row in found),
        )


def _untyped(relation: Any) -> list[str]:
    """Returns a warning for each column that is NULL and nothing else."""
    kinds = zip(relation.columns, relation.types, strict=True)
    return [
        f"the column '{name}' is NULL without a type, which Athena cannot write to a table: CAST it"
        for name, kind in kinds
        if athena_types.athena_name(kind) == "unknown"
    ]


def _as_stored(sql: str, relation: Any) -> str:
    """Returns the query of a query's rows with Athena's names and types.

    Raises:
        Refusal: Two columns have one name.
    """
    names = [name.lower() for name in relation.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refusal(f"the result has the column {twice[0]!r} more than once: give each an alias of its own")
    fields = ", ".join(
        f"CAST({identifier(given)} AS {athena_types.stored(kind)}) AS {identifier(name)}"
        for given, name, kind in zip(relation.columns, names, relation.types, strict=True)
    )
    return f"SELECT {fields} FROM ({sql})"


@lru_cache(maxsize=64)
def _read_by(query: Query) -> tuple[frozenset[str], bool]:
    """Returns the tables that a query reads, and whether it reads the path of their files."""
    trees = [statement.tree for statement in script.parse(query) if statement.tree is not None]
    return frozenset(name for tree in trees for name in rewrites.tables_of(tree)), any(map(rewrites.reads_path, trees))


@lru_cache(maxsize=64)
def _in_duckdb(query: Query, number: int, tables: tuple[str, ...]) -> rewrites.Rewritten:
    """Returns a statement of a query, which finds these tables, in DuckDB's SQL."""
    return rewrites.to_duckdb(script.parse(query)[number - 1].tree.copy(), tables)


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
