"""P12: a range run of two regions by a thousand days, through a chain of two nodes, beside a real daemon.

The world: `first` reads external data of 2 regions x 1,000 days, `second` reads `first`; both compute nothing. The
daemon runs with the instance's default settings, on SQLite and on PostgreSQL. One backfill from the web server's API
asks for all 2,000 partitions of `first`; the router does the rest.

Measured: the runs of `second` that the router asks for, the seconds from the backfill to the last partition of
`second`, and the most run requests of one tick. Reach: one run per contiguous range of a region, so 2; no tick asks for
more than 50. Control: before ranges were formed first, half as many days on SQLite took 245 runs in 15 minutes and were
not done, with 123 asked for by one tick.

PostgreSQL needs `dagster-postgres` and Debian's `postgresql` package: the benchmark starts a server of its own on
loopback, and removes it again. Without either, that half is skipped by name.

    python benchmarks/p12_range_run.py                  # both, some minutes
    python benchmarks/p12_range_run.py sqlite
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg

from rheo_assets.bridge.eventlog.instance import home

DAYS = int(os.environ.get("RHEO_BENCH_DAYS", "1000"))
MOST_RUNS, LONGEST = 50, 900.0
START = datetime(2022, 1, 1)
MODULE = """
from rheo_assets import *

app = Application("bench", since="2022-01-01")
spec = {"region": {"type": "STRING", "day": {"type": "DATETIME"}}}
declared = {"NA": {"*": {}}, "EU": {"*": {}}}
dataset = S3Dataset("111222333444", "outside", "x", "{}", "{}")
x = app.marshal_external_data(dataset, "x", spec, declared, SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"}))
first = app.create_data("first", [x], compute_targets=[NOOPCompute])
second = app.create_data("second", [first], compute_targets=[NOOPCompute])
defs = app.definitions()
"""
BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename ... on PythonError { message } }
}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Runs a server on loopback in a folder; yields its URL."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
    data, port = folder / "postgres", free_port()
    data.mkdir(mode=0o700)
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        who = pwd.getpwnam("postgres")
        os.chown(data, who.pw_uid, who.pw_gid)
        user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        folder.chmod(0o755)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": data, **user}
    subprocess.run([binaries / "initdb", "-D", data, "-U", "bench", "-A", "trust"], check=True, **quiet)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    subprocess.run(
        [binaries / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options, "start"], check=True, **quiet
    )
    try:
        yield f"postgresql+psycopg2://bench@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=True, **quiet)


@contextmanager
def deployment(root: Path, url: str | None) -> Iterator[int]:
    """Runs `dagster dev` on a fresh root until its first look at the arrivals; yields the web server's port."""
    settings = home(root) / "dagster.yaml"
    if url is not None:
        settings.write_text(f"{settings.read_text()}storage:\n  postgres:\n    postgres_url: {url}\n")
    os.environ["DAGSTER_HOME"] = str(settings.parent)
    (root / "bench.py").write_text(MODULE)
    port = free_port()
    command = [Path(sys.executable).parent / "dagster", "dev", "-f", "bench.py", "-p", str(port)]
    with (root / "dev.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, start_new_session=True)
        try:
            known = root / "s3/rheo-bench/state/arrivals/x.json"
            while not (known.exists() and answers(port)):
                if process.poll() is not None:
                    raise RuntimeError((root / "dev.log").read_text())
                time.sleep(0.5)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def launch(port: int) -> None:
    days = [f"{START + timedelta(days=n):%Y-%m-%d}" for n in range(DAYS)]
    keys = [f"{day}|{region}" for region in ("EU", "NA") for day in days]
    params = {"assetSelection": [{"path": ["bench", "first"]}], "partitionNames": keys, "title": "P12"}
    body = json.dumps({"query": BACKFILL, "variables": {"params": params}}).encode()
    address = f"http://127.0.0.1:{port}/graphql"
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        said = json.load(answer)["data"]["launchPartitionBackfill"]
    assert said["__typename"] == "LaunchBackfillSuccess", said


def measure(root: Path, url: str | None) -> tuple[int, float, int]:
    """Returns how many runs of `second` there are, how long it took, and the most run requests of one tick."""
    os.environ.pop("DAGSTER_HOME", None)
    os.environ.update(RHEO_HOME=str(root), RHEO_PLATFORM="local")
    second = dg.AssetKey(["bench", "second"])
    with deployment(root, url) as port, dg.DagsterInstance.get() as instance:
        began = time.monotonic()
        launch(port)
        while len(made := instance.get_materialized_partitions(second)) < 2 * DAYS:
            if time.monotonic() - began > LONGEST:
                print(f"  only {len(made)} partitions after {LONGEST:g} s")
                break
            time.sleep(2)
        seconds = time.monotonic() - began
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": "bench__router"}))
        (state,) = [s for s in instance.all_instigator_state() if s.instigator_name == "bench__router"]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return len(runs), seconds, max((len(tick.run_ids) for tick in ticks), default=0)


def missing(database: str) -> str | None:
    if database == "postgresql" and find_spec("dagster_postgres") is None:
        return "dagster-postgres is not installed"
    if database == "postgresql" and not list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")):
        return "there is no /usr/lib/postgresql/*/bin/pg_ctl"
    return None


def main() -> int:
    missed = 0
    for database in sys.argv[1:] or ["sqlite", "postgresql"]:
        if (reason := missing(database)) is not None:
            print(f"{database}: skipped, as {reason}")
            continue
        root = Path(tempfile.mkdtemp(prefix="rheo-p12-", dir=os.environ.get("RHEO_BENCH_DIR")))
        try:
            if database == "postgresql":
                with postgres(root) as url:
                    runs, seconds, most = measure(root, url)
            else:
                runs, seconds, most = measure(root, None)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        is_met = runs == 2 and most <= MOST_RUNS
        missed += not is_met
        print(
            f"{database}: {runs} runs of the reader in {seconds:.0f} s, at most {most} asked for by one tick",
            flush=True,
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
