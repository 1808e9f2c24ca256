"""Presto SQL on Athena: the query of a node as a job, its result unloaded into the node's partition."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.errors import CapabilityMissing
from rheo_assets.model.compute.targets import Target
from rheo_assets.platforms.aws.account import Account
from rheo_assets.platforms.aws.athena.names import give_names
from rheo_assets.platforms.aws.athena.result import Measured, empty_file, measured
from rheo_assets.platforms.aws.athena.samples import objects
from rheo_assets.platforms.aws.athena.statements import query_of, statements_of
from rheo_assets.platforms.aws.athena.tables import Tables, database_name
from rheo_assets.platforms.aws.athena.workgroups import Workgroup
from rheo_assets.platforms.aws.errors import is_worth_another_try, told
from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
from rheo_assets.platforms.aws.jobs.opening import remote_engine
from rheo_assets.platforms.aws.jobs.service import JobState, Messages, Phase, Silence
from rheo_assets.platforms.local.presto.refusals import Refusal
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput, TaskResult

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.platform import AwsPlatform

BATCH: Final = 50  # ids of one BatchGetQueryExecution
DOLLARS_PER_TERABYTE: Final = 5.0  # us-east-1: https://aws.amazon.com/athena/pricing/
LEAST_BYTES: Final = 10 * 1024 * 1024  # charged for each query that reads
LONGEST_SQL: Final = 262_144 - 4_096  # bytes of a query string, less those of the UNLOAD around it
_CATALOG: Final = "AwsDataCatalog"  # where the inputs are; SQL may name tables of others: "catalog"."database"."table"
_PHASES: Final = {
    "QUEUED": Phase.WAITING,
    "RUNNING": Phase.RUNNING,
    "SUCCEEDED": Phase.SUCCEEDED,
    "FAILED": Phase.FAILED,
    "CANCELLED": Phase.STOPPED,
}
_SYSTEM: Final = 1  # AthenaError.ErrorCategory
_OVER_LIMIT: Final = "limit was exceeded"  # of the bytes that a workgroup lets a query scan
_LINE: Final = re.compile(r"\bline (\d+):")


@dataclass(frozen=True, slots=True)
class AthenaSettings:
    """Where queries run.

    Attributes:
        workgroup: The workgroup.
        output_location: The URI prefix of Athena's own results; the application's bucket otherwise. A workgroup that
            manages its results, or enforces a location of its own, has the last word.
    """

    workgroup: str = "primary"
    output_location: str = ""


class _Chain:
    """The statements of one task, started one after the other; the last one writes the output."""

    def __init__(self, task: Task, statements: Sequence[str]) -> None:
        self.task = task
        self.statements = statements
        self.position = 0
        self.query = ""
        self.scanned = 0
        self.billed = 0
        self.warnings: tuple[str, ...] = ()

    @property
    def is_last(self) -> bool:
        return self.position == len(self.statements) - 1

    def count(self, execution: Mapping[str, Any]) -> None:
        """Adds what a query that has ended has read, and what is charged: nothing for one that failed, or for DDL."""
        scanned = int(execution.get("Statistics", {}).get("DataScannedInBytes", 0))
        self.scanned += scanned
        if execution["Status"]["State"] != "FAILED" and (scanned or execution.get("StatementType") != "DDL"):
            self.billed += max(scanned, LEAST_BYTES)


class AthenaQueries:
    """Runs the queries of nodes on Athena; see `JobService`.

    A task is a chain of queries in a database of its own, which holds its inputs as tables. Each query carries a
    request token made of the task's: Athena answers a repeated start with the query that it has already.

    Args:
        account: Where the output is written and queries run.
        settings: Where queries run.
    """

    title = "Athena"
    polite_seconds = 15.0

    def __init__(self, account: Account, settings: AthenaSettings) -> None:
        self._clients = account.clients
        self._storage = account.storage
        self._home = account.home
        self._tables = Tables(account)
        self._settings = settings
        self._workgroup = Workgroup(lambda: account.clients.client("athena", repeats=False), settings.workgroup)
        self._chains: dict[str, _Chain] = {}

    def _athena(self) -> Any:
        return self._clients.client("athena")

    def check_target(self, target: Target, application: str) -> None:  # noqa: ARG002  # of the protocol
        """Raises `CapabilityMissing` if the SQL is longer than Athena takes."""
        size = len(str(getattr(target, "code", "")).encode())
        if size > LONGEST_SQL:
            raise CapabilityMissing(
                f"its SQL has {size:,} bytes; Athena takes {LONGEST_SQL:,}. Divide it between two nodes, or use a "
                "Spark target"
            )

    def submit(self, task: Task) -> str:
        """Starts the first query of the task, or finds it; see `JobService.submit`."""
        try:
            statements = statements_of(task)
            chain = self._chain(task, statements)
            self._empty_output_once(task)
            job = self._start(chain, 0)
        except Refusal as refusal:
            self._drop_as_far_as_possible(task)
            raise TaskFailure("user", f"{task.node!r}: {refusal.reason}", refusal.detail) from None
        except Exception as error:
            if not is_worth_another_try(error):
                self._drop_as_far_as_possible(task)
            raise
        self._chains[job] = chain
        return job

    def _drop_as_far_as_possible(self, task: Task) -> None:
        with contextlib.suppress(Exception):  # why it did not start is what people are to read
            self._tables.drop(task)

    def _chain(self, task: Task, statements: Sequence[str]) -> _Chain:
        inputs = self._tables.make(task)
        chain = _Chain(task, [*(made.view for made in inputs if made.view), *statements])
        chain.warnings = tuple(made.warning for made in inputs if made.warning)
        return chain

    def _empty_output_once(self, task: Task) -> None:
        # UNLOAD wants an empty prefix, and what a query of this token has written must stay. What was listed before
        # the mark was looked for, and not found, is not by such a query, however many drivers there are.
        left = objects(self._clients.client("s3"), task.output.path)
        mark = f"{self._home(task.application)}/jobs/{task.token}/started"
        if self._storage.version(mark) is None:
            for file in left:
                self._storage.delete(file.uri)
            self._storage.create(mark, b"")

    def _start(self, chain: _Chain, position: int) -> str:
        task = chain.task
        token = f"{task.application} {task.token} {position}"
        own = {"ClientRequestToken": hashlib.sha256(token.encode()).hexdigest()}
        chain.query, chain.position = self._started(task, chain.statements[position], own), position
        return chain.query

    def _started(self, task: Task, sql: str, more: Mapping[str, str]) -> str:
        results = self._settings.output_location or f"{self._home(task.application)}/athena/"
        context = {"Database": database_name(task), "Catalog": _CATALOG}
        return self._workgroup.start(results, {"QueryString": sql, "QueryExecutionContext": context, **more})

    def states(self, jobs: Sequence[str]) -> Mapping[str, JobState]:
        """Returns how the chains stand, 50 queries a call; goes on to the next query of each."""
        found: dict[str, JobState] = {}
        queries = {self._chains[job].query: job for job in jobs}
        names = list(queries)
        for start in range(0, len(names), BATCH):
            answer = self._athena().batch_get_query_execution(QueryExecutionIds=names[start : start + BATCH])
            for execution in answer["QueryExecutions"]:
                job = queries[execution["QueryExecutionId"]]
                found[job] = self._advanced(self._chains[job], execution)
            for absent in answer.get("UnprocessedQueryExecutionIds", ()):
                if absent.get("ErrorCode") not in {"ThrottlingException", "InternalServerException"}:
                    found[queries[absent["QueryExecutionId"]]] = JobState(
                        Phase.LOST, str(absent.get("ErrorCode", "")), str(absent.get("ErrorMessage", ""))
                    )
        return found

    def _advanced(self, chain: _Chain, execution: Mapping[str, Any]) -> JobState:
        status = execution["Status"]
        phase = _PHASES[status["State"]]
        if not phase.has_ended:
            return JobState(Phase.RUNNING if chain.position else phase, status["State"])
        if phase is Phase.SUCCEEDED and not chain.is_last:
            return self._next(chain, execution)
        chain.count(execution)
        error = status.get("AthenaError", {})
        if phase is Phase.FAILED and (error.get("Retryable") or error.get("ErrorCategory") == _SYSTEM):
            phase = Phase.LOST
        reason = str(error.get("ErrorMessage") or status.get("StateChangeReason", ""))
        if phase is Phase.STOPPED and _OVER_LIMIT in reason:  # nobody stopped it
            phase = Phase.FAILED
        return JobState(phase, status["State"], reason, _facts(chain, execution))

    def _next(self, chain: _Chain, execution: Mapping[str, Any]) -> JobState:
        try:
            self._start(chain, chain.position + 1)
        except Exception as error:  # not raised: it says nothing about the other jobs that are looked at
            if is_worth_another_try(error):  # at the next look
                return JobState(Phase.RUNNING, "RUNNING")
            return JobState(Phase.FAILED, "NOT_STARTED", told(error))
        chain.count(execution)
        return JobState(Phase.RUNNING, "RUNNING")

    def stop(self, job: str) -> None:
        """Stops the query that runs now."""
        self._athena().stop_query_execution(QueryExecutionId=self._chains[job].query)

    def link(self, job: str) -> str:
        """Returns the page of the console."""
        region = self._clients.region
        page = f"https://{region}.console.aws.amazon.com/athena/home?region={region}"
        return f"{page}#/query-editor/history/{job}"

    def messages(self, task: Task, job: str) -> Messages:  # noqa: ARG002  # of the protocol
        """Returns nothing: a query says nothing while it runs."""
        return Silence()

    def result(self, task: Task, job: str, state: JobState) -> TaskResult:
        """Returns the rows, columns and first rows of what was unloaded."""
        chain = self._chains[job]
        give_names(self._storage, task.output, f"{self._home(task.application)}/jobs/{task.token}/names.json")
        with tempfile.TemporaryDirectory(prefix="rheo-result-") as folder:
            found = measured(self._clients.client("s3"), task.output, Path(folder))
            if found is None:
                columns = self._columns_of_nothing(chain)
                found = self._leave_empty(task.output, columns, Path(folder))
        return TaskResult(
            rows=found.rows,
            schema=found.schema,
            preview=found.preview,
            warnings=chain.warnings,
            engine=f"Athena ({self._settings.workgroup})",
            seconds=float(state.facts.get("engine seconds", 0.0)),
        )

    def failure(self, task: Task, job: str, state: JobState) -> TaskFailure:  # noqa: ARG002  # of the protocol
        """Returns Athena's words, with the lines of the user's own SQL."""
        told = _LINE.sub(lambda hit: f"line {max(int(hit[1]) - 1, 1)}:", state.reason)
        advice = ". Grant it in Lake Formation: IAM alone does not" if "Lake Formation" in told else ""
        return TaskFailure("user", f"{task.node!r}: its query failed: {told}{advice}")

    def ended(self, task: Task, job: str) -> None:
        """Removes the tables of the task's inputs."""
        self._chains.pop(job, None)
        self._tables.drop(task)

    def _columns_of_nothing(self, chain: _Chain) -> list[tuple[str, str]]:
        """Asks for the columns of a query without rows, which leaves no file that could say them."""
        started = self._started(chain.task, f"SELECT * FROM (\n{query_of(chain.task)}\n) LIMIT 0", {})
        for pause in (0.2, 0.5, 1, 2, 4, 8, 15, 15, 15):
            status = self._athena().get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                answer = self._athena().get_query_results(QueryExecutionId=started, MaxResults=1)
                info = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
                return [(column["Name"], column["Type"]) for column in info]
            if status["State"] in {"FAILED", "CANCELLED"}:
                break
            time.sleep(pause)
        raise TaskFailure("platform", f"{chain.task.node!r}: Athena does not say which columns its empty result has")

    def _leave_empty(self, output: TaskOutput, columns: Sequence[tuple[str, str]], folder: Path) -> Measured:
        name, content, measured_nothing = empty_file(output, columns, folder)
        self._storage.write(f"{output.path}/{name}", content)
        return measured_nothing


def _facts(chain: _Chain, execution: Mapping[str, Any]) -> dict[str, Any]:
    statistics = execution.get("Statistics", {})
    return {
        "bytes scanned": chain.scanned,
        "cost estimate (USD)": round(chain.billed / 1e12 * DOLLARS_PER_TERABYTE, 6),
        "engine seconds": int(statistics.get("EngineExecutionTimeInMillis", 0)) / 1000,
        "queued seconds": int(statistics.get("QueryQueueTimeInMillis", 0)) / 1000,
    }


def athena_engine(platform: AwsPlatform) -> RemoteEngine:
    """Returns the engine that runs Presto SQL on Athena; its options are those of `AthenaSettings`."""
    return remote_engine(AthenaQueries, AthenaSettings, "athena", platform)
