"""An Athena that answers: moto takes the calls, the local Presto engine runs the queries on what lies in moto's S3.

The tables are those of moto's Glue catalog. The files that a table's manifest names are fetched, the statements of a
database run in order, and what UNLOAD writes is put back under Athena's names. So SUCCEEDED means that rows landed.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from moto.athena.models import athena_backends
from moto.athena.responses import AthenaResponse
from moto.core.exceptions import JsonRESTError

from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.local.presto.engine import PrestoEngine
from rheo_assets.platforms.local.presto.session import identifier
from rheo_assets.runner.task import Task, TaskFailure, TaskInput, TaskOutput
from tests.platforms.aws.doubles.faults import Faults

_UNLOAD = re.compile(r"UNLOAD \(\n(?P<query>.*)\n\) TO '(?P<to>[^']+)' WITH \((?P<options>.*)\)\Z", re.DOTALL)
_NOTHING = re.compile(r"SELECT \* FROM \(\n(?P<query>.*)\n\) LIMIT 0\Z", re.DOTALL)
_OPERATIONS = (
    "start_query_execution", "stop_query_execution", "get_query_execution", "get_query_results",
    "batch_get_query_execution",
)  # fmt: skip
_ERRORS = {
    "SYSTEM": {"ErrorCategory": 1, "Retryable": False},
    "EXHAUSTED": {"ErrorCategory": 2, "Retryable": True},
    "FAILED": {"ErrorCategory": 2, "Retryable": False},
}
_SERDES = {"parquet": "parquet", "json": "json", "OpenCSV": "csv"}


@dataclass
class Query:
    """A query that was started."""

    id: str
    sql: str
    database: str
    state: str = "QUEUED"
    error: dict[str, Any] = field(default_factory=dict)
    columns: tuple[tuple[str, str], ...] = ()
    ended: threading.Event = field(default_factory=threading.Event)

    def described(self) -> dict[str, Any]:
        """As GetQueryExecution describes it."""
        status: dict[str, Any] = {"State": self.state}
        if self.error:
            status |= {"AthenaError": self.error, "StateChangeReason": self.error["ErrorMessage"]}
        statistics = {"DataScannedInBytes": 1234, "EngineExecutionTimeInMillis": 250, "QueryQueueTimeInMillis": 10}
        kind = "DDL" if self.sql.startswith("CREATE") else "DML"
        described = {"QueryExecutionId": self.id, "Query": self.sql, "Status": status, "StatementType": kind}
        return {**described, "Statistics": statistics if kind == "DML" else {}}


class AthenaDouble(Faults):
    """Takes the place of moto's answers about queries.

    Attributes:
        queries: What was started, by id.
        hold: While it is set, queries stay in the queue.
        outcome: Makes every query fail so, without running: (a key of `_ERRORS`, message).
        batches: The number of ids of each question for states.
        settings: The workgroup and the output location of each query.
    """

    no_faults = (("SYSTEM", "GENERIC_INTERNAL_ERROR: try again"), ("EXHAUSTED", "Query exhausted resources"))

    def __init__(self, clients: Clients, root: Path) -> None:
        super().__init__()
        self._s3, self._glue, self._root = clients.client("s3"), clients.client("glue"), root
        self._region = clients.region
        self._tokens: dict[str, str] = {}
        self._earlier: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self.queries: dict[str, Query] = {}
        self.hold = False
        self.outcome: tuple[str, str] | None = None
        self.batches: list[int] = []
        self.settings: list[tuple[str, str]] = []

    @property
    def tokens(self) -> list[str]:
        """The request tokens of the queries that were started."""
        return list(self._tokens)

    def replace(self, patch: pytest.MonkeyPatch) -> None:
        """Replaces moto's answers."""
        for name in _OPERATIONS:
            patch.setattr(AthenaResponse, name, self._answering(getattr(self, f"_{name}")), raising=False)
        get = AthenaResponse.get_work_group

        def get_work_group(response: Any) -> Any:
            self._workgroup(response._get_param("WorkGroup"))
            return get(response)

        patch.setattr(AthenaResponse, "get_work_group", get_work_group)
        self.install(patch, AthenaResponse, *_OPERATIONS, "get_work_group")

    @staticmethod
    def _answering(answer: Any) -> Any:
        return lambda response: answer(response._get_param)

    def _start_query_execution(self, param: Any) -> Any:
        with self._lock:
            token = param("ClientRequestToken") or uuid.uuid4().hex
            if token not in self._tokens:
                location = self._location(param("WorkGroup"), param("ResultConfiguration"))
                query = Query(str(uuid.uuid4()), param("QueryString"), param("QueryExecutionContext")["Database"])
                self._tokens[token] = query.id
                self.settings.append((param("WorkGroup"), location))
                self.queries[query.id] = query
                threading.Thread(target=self._run, args=(query,), daemon=True).start()
        return json.dumps({"QueryExecutionId": self._tokens[token]})

    def _location(self, workgroup: str, asked: dict[str, str] | None) -> str:
        """Returns where the results of a query go, or refuses it in Athena's words."""
        found = self._workgroup(workgroup)
        if found.get("ManagedQueryResultsConfiguration", {}).get("Enabled"):
            if asked is not None:
                raise invalid("ManagedQueryResultsConfiguration and ResultConfiguration cannot be set together")
            return "managed"
        own = found.get("ResultConfiguration", {}).get("OutputLocation")
        if own and found.get("EnforceWorkGroupConfiguration"):
            return str(own)
        location = (asked or {}).get("OutputLocation") or own
        if not location:
            raise invalid("No output location provided. An output location is required either through the Workgroup")
        return str(location)

    def _workgroup(self, name: str) -> dict[str, Any]:
        known = athena_backends["123456789012"][self._region].work_groups
        if name not in known:
            raise invalid(f"WorkGroup {name} is not found.")
        configuration: dict[str, Any] = known[name].configuration
        return configuration

    def _stop_query_execution(self, param: Any) -> Any:
        query = self.queries[param("QueryExecutionId")]
        if not query.ended.is_set():
            query.state = "CANCELLED"
            query.ended.set()
        return json.dumps({})

    def _get_query_execution(self, param: Any) -> Any:
        return json.dumps({"QueryExecution": self.queries[param("QueryExecutionId")].described()})

    def _batch_get_query_execution(self, param: Any) -> Any:
        ids = param("QueryExecutionIds")
        self.batches.append(len(ids))
        assert len(ids) <= 50
        known = [self.queries[name].described() for name in ids if name in self.queries]
        unknown = [{"QueryExecutionId": name, "ErrorCode": "INVALID_INPUT"} for name in ids if name not in self.queries]
        return json.dumps({"QueryExecutions": known, "UnprocessedQueryExecutionIds": unknown})

    def _get_query_results(self, param: Any) -> Any:
        columns = [{"Name": name, "Type": kind} for name, kind in self.queries[param("QueryExecutionId")].columns]
        return json.dumps({"ResultSet": {"Rows": [], "ResultSetMetadata": {"ColumnInfo": columns}}})

    # running --------------------------------------------------------------------------------------------------

    def _run(self, query: Query) -> None:
        while self.hold and not query.ended.is_set():
            time.sleep(0.01)
        if query.ended.is_set():
            return
        query.state = "RUNNING"
        if self.outcome is not None:
            name, message = self.outcome
            query.state, query.error = "FAILED", {**_ERRORS[name], "ErrorMessage": message}
            return
        try:
            self._answer(query)
        except TaskFailure as failure:
            message = f"{failure.message} {failure.detail}".strip()
            query.error = {"ErrorCategory": 2, "ErrorMessage": message, "Retryable": False}
        if not query.ended.is_set():
            query.state = "FAILED" if query.error else "SUCCEEDED"
            query.ended.set()

    def _answer(self, query: Query) -> None:
        before = self._earlier.setdefault(query.database, [])
        unload, nothing = _UNLOAD.match(query.sql), _NOTHING.match(query.sql)
        if unload is None and nothing is None:
            self._presto(query, [*before, query.sql, "SELECT 1 AS one"], f"s3://double/{query.id}/out", "parquet", {})
            before.append(query.sql)
        elif nothing is not None:
            result = self._presto(query, [*before, query.sql], f"s3://double/{query.id}/out", "parquet", {})
            query.columns = result.schema
        elif unload is not None:
            self._unload(query, before, unload)

    def _unload(self, query: Query, before: list[str], unload: re.Match[str]) -> None:
        to = unload["to"]
        bucket, _, prefix = to.removeprefix("s3://").partition("/")
        if self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"):
            raise TaskFailure("user", f"HIVE_PATH_ALREADY_EXISTS: {to}")
        wanted = dict(re.findall(r"(\w+) = '([^']*)'", unload["options"]))
        kind = {"PARQUET": "parquet", "JSON": "json", "TEXTFILE": "csv"}[wanted["format"]]
        options = {"header": False, "delimiter": wanted.get("field_delimiter", "\x01")} if kind == "csv" else {}
        result = self._presto(query, [*before, unload["query"]], f"s3://double/{query.id}/out", kind, options)
        if not result.rows or query.ended.is_set():
            return  # Athena leaves no file for no row
        for path in (self._root / "s3" / "double" / query.id / "out").rglob("*"):
            if path.is_file() and not path.name.startswith((".", "_")):
                name, content = f"20240102_030405_00042_abcde_{uuid.uuid4()}", path.read_bytes()
                if kind != "parquet":
                    name, content = f"{name}.gz", gzip.compress(content)
                self._s3.put_object(Bucket=bucket, Key=f"{prefix}{name}", Body=content)

    def _presto(self, query: Query, statements: list[str], to: str, kind: str, options: dict[str, Any]) -> Any:
        inputs = tuple(self._inputs(query))
        code = ";\n".join(statement.replace("{", "{{").replace("}", "}}") for statement in statements)
        task = Task("double", "PRESTO_SQL", _unbraced(code), inputs, TaskOutput(to, kind, options))
        return PrestoEngine(self._root).run(task, lambda line: None, query.ended.is_set)

    def _inputs(self, query: Query) -> list[TaskInput]:
        found = []
        for table in self._glue.get_tables(DatabaseName=query.database)["TableList"]:
            folder = f"double/{query.id}/in/{table['Name']}"
            manifest = self._content(f"{table['StorageDescriptor']['Location']}/manifest").decode()
            for number, uri in enumerate(manifest.split()):
                path = self._root / "s3" / folder / f"{number:04}-{uri.rsplit('/', 1)[-1]}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._content(uri))
            serde = table["StorageDescriptor"]["SerdeInfo"]
            kind = next(kind for mark, kind in _SERDES.items() if mark in serde["SerializationLibrary"])
            if kind == "csv":
                kind = _as_text(self._root / "s3" / folder, table)
            found.append(TaskInput(table["Name"], (f"s3://{folder}",), format=kind))
        return found

    def _content(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


def invalid(message: str) -> JsonRESTError:
    """Returns Athena's refusal of a request."""
    error = JsonRESTError("InvalidRequestException", message)
    error.code = 400
    return error


def _as_text(folder: Path, table: dict[str, Any]) -> str:
    """Makes the csv files what OpenCSVSerde makes of them: columns of text, the header skipped if the table says so."""
    skipped = int(table["Parameters"].get("skip.header.line.count", 0))
    serde = table["StorageDescriptor"]["SerdeInfo"]["Parameters"]
    names = [column["Name"] for column in table["StorageDescriptor"]["Columns"]]
    for file in sorted(folder.iterdir()):
        text = file.read_text().removesuffix("\n")
        rows = [_fields(line, serde) for line in text.split("\n")[skipped:]] if text else []
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE t ({', '.join(f'{identifier(name)} VARCHAR' for name in names)})")
            for row in rows:
                filled = [*row, *[None] * len(names)][: len(names)]
                connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", filled)
            connection.execute(f"COPY t TO '{file}.parquet' (FORMAT parquet)")
        file.unlink()
    return "parquet"


def _fields(line: str, serde: dict[str, str]) -> list[str]:
    """Returns the values of one line: the SerDe reads line by line, and drops the character that escapes."""
    dialect = {"delimiter": serde["separatorChar"], "quotechar": serde["quoteChar"], "escapechar": serde["escapeChar"]}
    return next(csv.reader([line], **dialect), [])


def _unbraced(code: str) -> str:
    # The local engine fills `{name}`; what comes here has been filled already and is to be taken as it is.
    return code if re.search(r"\{\{[A-Za-z_]\w*\}\}", code) else code.replace("{{", "{").replace("}}", "}")
