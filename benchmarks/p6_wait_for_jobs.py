"""P6: wait for 1,000 jobs of Glue, or of Athena, in one process, and lose none when the process is killed.

The service is another process: it keeps the objects of S3, the runs of Glue and the queries of Athena in memory,
answers their HTTP calls, and ends a run only when it is told to. The driver is the real thing: boto3, `S3Storage`,
`GlueJobs`, `AthenaQueries`, `RemoteEngine`.

Measured: the driver's resident memory at its highest, and its CPU seconds while it only waits, with a look every 15 s.
The first driver is killed with SIGKILL when it has started half of the jobs; a second one gets all tasks, waits for the
jobs of both, is measured, and then the jobs end.
Control: one thread a job that asks `GetJobRun` every 15 s, as dagster-aws's `PipesGlueClient` does (every 5 s).
Reach: 200 MB; 5 % of a core. Checked: each run of Glue was started once, each of its tasks has its own result, and
Athena is asked for 50 queries a call.

    python benchmarks/p6_wait_for_jobs.py        # about seven minutes
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.request import Request, urlopen

JOBS, NODES, LOOK = 1000, 10, 15.0
RAMP, WINDOW = 75.0, 60.0  # seconds: until all looks are `LOOK` apart; of the measurement
MEGABYTES, PERCENT = 200, 5.0


class Service(BaseHTTPRequestHandler):
    """S3's objects and Glue's runs, in memory."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    objects: ClassVar[dict[str, bytes]] = {}
    runs: ClassVar[list[dict[str, Any]]] = []
    jobs: ClassVar[dict[str, dict[str, Any]]] = {}
    calls: ClassVar[Counter[str]] = Counter()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # a driver that was killed
            self.close_connection = True

    def do_POST(self) -> None:
        body = json.loads(self._body())
        operation = (self.headers.get("X-Amz-Target") or self.path).rpartition(".")[2]
        with self.lock:
            self.calls[operation] += 1
            answer = getattr(self, f"on_{operation.strip('/')}")(body)
        self._answer(400 if "__type" in answer else 200, json.dumps(answer).encode())

    def on_GetJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.jobs.get(body["JobName"])
        return {"Job": found} if found else {"__type": "EntityNotFoundException", "message": "no such job"}

    def on_CreateJob(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.jobs[body["Name"]] = body
        return {"Name": body["Name"]}

    def on_StartJobRun(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = {**body, "Id": f"jr_{len(self.runs):064x}", "StartedOn": time.time(), "JobRunState": "RUNNING"}
        self.runs.append(run)
        return {"JobRunId": run["Id"]}

    def on_GetJobRun(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"JobRun": self.runs[int(body["RunId"][3:], 16)]}

    def on_GetJobRuns(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        runs = [run for run in reversed(self.runs) if run["JobName"] == body["JobName"]]
        first = int(body.get("NextToken", 0))
        last = first + body["MaxResults"]
        return {"JobRuns": runs[first:last], **({"NextToken": str(last)} if last < len(runs) else {})}

    def on_CreateDatabase(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {}

    def on_StartQueryExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"QueryExecutionId": body["ClientRequestToken"]}

    def on_BatchGetQueryExecution(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        status = {"State": "RUNNING", "SubmissionDateTime": time.time()}
        return {"QueryExecutions": [{"QueryExecutionId": name, "Status": status} for name in body["QueryExecutionIds"]]}

    def on_told(self, _: dict[str, Any]) -> dict[str, Any]:
        tokens = [run["Arguments"]["--rheo_token"] for run in self.runs]
        return {"tokens": tokens, "calls": dict(self.calls)}

    def on_end(self, _: dict[str, Any]) -> dict[str, Any]:
        for run in self.runs:
            run.update(JobRunState="SUCCEEDED", CompletedOn=time.time(), ExecutionTime=60)
            key = run["Arguments"]["--rheo_job"].removeprefix("s3://")
            result = {"rows": int(run["Arguments"]["--rheo_token"]), "engine": "none", "schema": [], "preview": []}
            self.objects[f"/{key}/result.json"] = json.dumps({"result": {**result, "warnings": []}}).encode()
        return {}

    def do_PUT(self) -> None:
        content = self._body()
        with self.lock:
            self.calls["PUT"] += 1
            is_there = self.path in self.objects and self.headers.get("If-None-Match") == "*"
            if not is_there:
                self.objects[self.path] = content
        self._answer(412 if is_there else 200, _error("PreconditionFailed") if is_there else b"")

    def do_GET(self) -> None:
        if "list-type=2" in self.path:  # nothing lies below a claim
            self._answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
            return
        with self.lock:
            self.calls["GET"] += 1
            content = self.objects.get(self.path)
        self._answer(404 if content is None else 200, _error("NoSuchKey") if content is None else content)

    def do_DELETE(self) -> None:
        with self.lock:
            self.objects.pop(self.path, None)
        self._answer(204, b"")

    def do_HEAD(self) -> None:
        self._answer(200 if self.path in self.objects else 404, b"")

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if len(content) < length:
            raise ConnectionAbortedError("the driver was killed while it asked: no service takes half a request")
        return content

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"0"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()


class Server(ThreadingHTTPServer):
    """Takes all drivers at once."""

    request_queue_size = 512
    daemon_threads = True


def serve() -> None:
    server = Server(("127.0.0.1", 0), Service)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def ask(url: str, what: str) -> dict[str, Any]:
    with urlopen(Request(f"{url}/{what}", data=b"{}", method="POST")) as answer:
        return dict(json.loads(answer.read()))


def account(url: str) -> Any:
    from rheo_assets.platforms.aws.account import Account
    from rheo_assets.platforms.aws.clients import Clients
    from rheo_assets.platforms.aws.storage import S3Storage

    clients = Clients("us-east-1", access_id="none", access_key="none", endpoint_url=url)
    return Account(clients, S3Storage(clients), lambda name: f"s3://rheo-{name}")


def drive_glue(url: str) -> None:
    """Waits for runs of Glue."""
    from rheo_assets.platforms.aws.spark.glue import GlueJobs, GlueSettings

    jobs = GlueJobs(account(url), GlueSettings("role"))
    jobs.takeover = 5.0
    drive(url, jobs, "PYTHON", "output = 1")


def drive_athena(url: str) -> None:
    """Waits for queries of Athena."""
    from rheo_assets.platforms.aws.athena.queries import AthenaQueries, AthenaSettings

    drive(url, AthenaQueries(account(url), AthenaSettings()), "PRESTO_SQL", "select 1 as one")


def drive(url: str, service: Any, lang: str, code: str) -> None:
    """Waits for all jobs, and tells how it goes."""
    from rheo_assets.platforms.aws.jobs.engine import RemoteEngine
    from rheo_assets.platforms.aws.jobs.watching import Watcher
    from rheo_assets.runner.task import Task, TaskOutput

    service.polite_seconds = LOOK
    engine = RemoteEngine(service, Watcher())
    waiting = threading.Semaphore(0)

    def run(number: int) -> bool:
        output = TaskOutput(f"s3://rheo-bench/{number}")
        task = Task(f"node{number % NODES}", lang, code, (), output, application="bench", token=str(number))
        result = engine.run(task, lambda line: waiting.release() if "runs as" in line else None, lambda: False)
        return result.rows == number

    with ThreadPoolExecutor(JOBS) as pool:
        results = [pool.submit(run, number) for number in range(JOBS)]
        for _ in range(JOBS):
            waiting.acquire()
        print("waiting", flush=True)
        measure(url)
        good = sum(result.result() for result in results)
    print(json.dumps({"good": good}), flush=True)


def each_thread(url: str) -> None:
    """The control: a thread a job."""
    glue = account(url).clients.client("glue", repeats=False)
    ended = threading.Event()

    def poll(number: int) -> None:
        ended.wait(number / JOBS * LOOK)
        while not ended.is_set():
            glue.get_job_run(JobName=f"rheo-bench-node{number % NODES}-0", RunId=f"jr_{number:064x}")
            ended.wait(LOOK)

    with ThreadPoolExecutor(JOBS) as pool:
        for number in range(JOBS):
            pool.submit(poll, number)
        print("waiting", flush=True)
        measure(url, ramp=LOOK)
        ended.set()


def measure(url: str, ramp: float = RAMP) -> None:
    time.sleep(ramp)
    before, started = ask(url, "told")["calls"], time.process_time()
    time.sleep(WINDOW)
    used, after = time.process_time() - started, ask(url, "told")["calls"]
    calls = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    calls.pop("/told", None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"percent": 100 * used / WINDOW, "megabytes": peak, "calls": calls}), flush=True)


def start(role: str, *arguments: str) -> subprocess.Popen[str]:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100,PTH120
    environment = {**os.environ, "PYTHONPATH": here}
    return subprocess.Popen(
        [sys.executable, __file__, role, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def main() -> int:
    service = start("serve")
    try:
        url = line(service)
        first = start("glue", url)
        while len(ask(url, "told")["tokens"]) < JOBS / 2:
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)  # in the middle of starting jobs
        first.wait()
        second = start("glue", url)
        assert line(second) == "waiting"
        ours = json.loads(line(second))
        ask(url, "end")
        good = json.loads(line(second))["good"]
        tokens = ask(url, "told")["tokens"]
        third = start("athena", url)
        assert line(third) == "waiting"
        queries = json.loads(line(third))
        third.kill()
        control = start("control", url)
        assert line(control) == "waiting"
        theirs = json.loads(line(control))
        control.wait()
    finally:
        service.kill()
    assert sorted(map(int, tokens)) == list(range(JOBS)), "a job was lost, or started twice"
    assert good == JOBS, f"{good} of {JOBS} tasks have their own result"
    print(f"P6 wait for {JOBS:,} jobs in one process: each started once, over a SIGKILL, each with its result: yes")
    for title, told in (("ours, Glue", ours), ("ours, Athena", queries), ("a thread a job", theirs)):
        calls = ", ".join(f"{count} {name}" for name, count in sorted(told["calls"].items()))
        print(f"   {title}: {told['percent']:.2f} % of a core, {told['megabytes']:.0f} MB; in {WINDOW:.0f} s {calls}")
    print(f"   ours, Glue / a thread a job = {ours['percent'] / theirs['percent']:.2f} of its CPU")
    small = max(ours["megabytes"], queries["megabytes"]) <= MEGABYTES
    quiet = max(ours["percent"], queries["percent"]) <= PERCENT
    looks = WINDOW / LOOK + 1
    assert queries["calls"]["BatchGetQueryExecution"] <= looks * JOBS / 50 * 1.5, "queries are not asked for 50 a call"
    print(f"   reach: {MEGABYTES} MB: {'yes' if small else 'NO'}; {PERCENT:g} % of a core: {'yes' if quiet else 'NO'}")
    return 0 if small and quiet else 1


if __name__ == "__main__":
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role:
        roles = {"serve": serve, "glue": drive_glue, "athena": drive_athena, "control": each_thread}
        roles[role](*sys.argv[2:])  # type: ignore[operator]
    else:
        raise SystemExit(main())
