"""The real daemon and web server: arrivals start runs by themselves, and a backfill from the UI obeys readiness."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rheo_assets as flow
from rheo_assets.bridge.eventlog.instance import home
from rheo_assets.bridge.names import OWNER_TAG

pytestmark = pytest.mark.web

DEFINITIONS = """
from rheo_assets import *

app = Application("shop", since="2024-01-01")
orders = app.marshal_external_data(
    S3Dataset("111222333444", "landing", "orders", "{}", "{}"),
    id="orders",
    dimension_spec={"region": {"type": "STRING", "day": {"type": "DATETIME"}}},
    dimension_filter={"NA": {"*": {}}, "EU": {"*": {}}},
    protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"}),
)
pairs = app.create_data("pairs", inputs=[orders["*"][:-2].range_check(True)], compute_targets=[NOOPCompute])
last = app.create_data("last", inputs=[pairs], compute_targets=[NOOPCompute])


def careful(inputs, output, params):
    import pathlib, time
    root = pathlib.Path({root!r})
    while output.dimensions["region"] == "NA" and not (root / "go").exists():
        time.sleep(0.1)
    if output.dimensions["day"] == "2024-01-13":
        raise ValueError("bad luck")


parcels = app.marshal_external_data(
    S3Dataset("111222333444", "landing", "parcels", "{}", "{}"),
    id="parcels",
    dimension_spec={"region": {"type": "STRING", "day": {"type": "DATETIME"}}},
    dimension_filter={"NA": {"*": {}}, "EU": {"*": {}}},
)
made = app.create_data("made", inputs=[parcels], compute_targets=[InlinedCompute(careful)])
returns = app.marshal_external_data(
    S3Dataset("111222333444", "landing", "returns", "{}"),
    id="returns",
    dimension_spec={"day": {"type": "DATETIME"}},
    protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"}),
)
checked = app.create_data("checked", inputs=[returns], compute_targets=[NOOPCompute])
after = app.create_data("after", inputs=[checked], compute_targets=[NOOPCompute])

import dagster as dg


@dg.asset_check(asset=dg.AssetKey(["shop", "checked"]), blocking=True)
def rows():
    import pathlib
    return dg.AssetCheckResult(passed=(pathlib.Path({root!r}) / "good").exists())


defs = dg.Definitions.merge(app.definitions(), dg.Definitions(asset_checks=[rows]))
"""
REPORT = """
mutation Report($params: ReportRunlessAssetEventsParams!) {
  reportRunlessAssetEvents(eventParams: $params) { __typename ... on PythonError { message } }
}
"""
BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


class Deployment:
    """A running `dagster dev`."""

    def __init__(self, root: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.root = root
        self.port = port
        self.process = process
        self.app = flow.Application("shop", platform=flow.LocalPlatform(root))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Returns the data of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def land(self, region: str, day: str) -> None:
        """Writes a partition of the landing bucket, `_SUCCESS` last."""
        folder = self.root / "s3" / "landing" / "orders" / region / day
        folder.mkdir(parents=True)
        (folder / "part-0.json").write_text('{"id": 1}\n')
        (folder / "_SUCCESS").touch()


def until(condition: Callable[[], Any], seconds: float = 150.0) -> Any:
    """Returns what the condition gives once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(1)
    raise AssertionError(f"not within {seconds} s: {condition}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """`dagster dev` on a fresh root; it has ticked once, so that what lands later is an event."""
    root = tmp_path_factory.mktemp("deployment")
    (root / "shop.py").write_text(DEFINITIONS.replace("{root!r}", repr(str(root))))
    patch = pytest.MonkeyPatch()
    patch.delenv("DAGSTER_HOME", raising=False)
    patch.setenv("RHEO_HOME", str(root))
    environment = {**os.environ, "DAGSTER_HOME": str(home(root)), "RHEO_PLATFORM": "local"}
    port = free_port()
    log = (root / "dev.log").open("wb")
    command = [Path(sys.executable).parent / "dagster", "dev", "-f", "shop.py", "-p", str(port)]
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until((root / "s3" / "rheo-shop" / "state" / "arrivals" / "orders.json").exists)
        yield Deployment(root, port, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()
        patch.undo()


def executions(deployment: Deployment, node: str) -> dict[tuple[str, ...], flow.Execution]:
    """Returns the last ended execution of each partition, as another session sees it."""
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    return {e.partition: e for e in app.history(node) if e.ended is not None or e.error is not None}


def test_files_that_arrive_start_the_nodes_that_need_them_once(deployment: Deployment):
    deployment.land("NA", "2024-03-01")
    deployment.land("NA", "2024-03-02")
    until(lambda: ("NA", "2024-03-02") in executions(deployment, "last"))
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    ran = [(e.partition, e.status) for e in app.history("pairs")]
    assert ran == [(("NA", "2024-03-02"), "COMPLETED")]
    (waiting,) = app.pending("pairs")
    assert waiting.waiting_for == ("orders[NA][2024-02-29]",)


def test_a_backfill_from_the_ui_fails_at_once_with_what_is_not_ready(deployment: Deployment):
    keys = ["2024-04-01|EU", "2024-04-02|EU"]
    params = {"assetSelection": [{"path": ["shop", "pairs"]}], "partitionNames": keys, "title": "too early"}
    answer = deployment.ask(BACKFILL, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    failed = until(lambda: executions(deployment, "pairs").get(("EU", "2024-04-02")))
    assert failed.status == "FAILED"
    assert "orders[EU][2024-04-02]" in failed.error
    assert "orders[EU][2024-04-01]" in failed.error


RUN = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"


def test_a_script_beside_the_daemon_leaves_its_executions_to_the_daemon(deployment: Deployment):
    app = deployment.app
    path = app.execute(app["made"]["EU"]["2024-05-02"])
    assert path.endswith("made/EU/2024-05-02")
    (ran,) = app.history("made")
    assert (ran.partition, ran.status) == (("EU", "2024-05-02"), "COMPLETED")
    run = deployment.ask(RUN, id=ran.run_id)["runOrError"]
    assert run["status"] == "SUCCESS"
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert tags["dagster/sensor_name"] == "shop__router"
    assert OWNER_TAG not in tags
    with pytest.raises(RuntimeError, match="bad luck"):
        app.execute(app["made"]["EU"]["2024-01-13"])


def test_the_daemon_builds_what_is_missing_stage_by_stage_and_takes_in_what_follows(deployment: Deployment):
    app = deployment.app
    deployment.land("EU", "2024-06-01")
    deployment.land("EU", "2024-06-02")
    app.execute(app["last"]["EU"]["2024-06-02"], recursive=True)
    ran = {e.node: e for e in app.history() if e.partition == ("EU", "2024-06-02") and e.node != "made"}
    assert {node: e.status for node, e in ran.items()} == {"pairs": "COMPLETED", "last": "COMPLETED"}
    assert ran["pairs"].ended < ran["last"].started
    # The landed files may have started `pairs` once more by themselves, but never beside the plan.
    assert len({e.id for e in app.history("last") if e.partition == ("EU", "2024-06-02")}) <= 2


def test_without_waiting_and_after_ctrl_c_the_daemon_goes_on_and_kill_ends_it(deployment: Deployment):
    app = deployment.app
    held, killed = app["made"]["NA"]["2024-07-01"], app["made"]["NA"]["2024-07-02"]
    assert app.execute(held, wait=False).endswith("NA/2024-07-01")
    assert app.has_active_record(held)
    script = deployment.root / "waits.py"
    script.write_text(
        "import signal\n"
        "import rheo_assets as flow\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C\n"
        f"app = flow.Application('shop', platform=flow.LocalPlatform({str(deployment.root)!r}))\n"
        "app.execute(app['made']['NA']['2024-07-02'])\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
    until(lambda: app.has_active_record(killed))
    until(lambda: [e for e in app.get_active_routes() if e.partition[1] == "2024-07-02" and e.status == "RUNNING"])
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "app.kill(app['made']['NA']['2024-07-02'])" in said
    assert "KeyboardInterrupt" in said
    assert app.kill(killed)
    until(lambda: not app.has_active_record(killed))
    (deployment.root / "go").touch()
    assert app.poll(held)[0].endswith("NA/2024-07-01")
    assert executions(deployment, "made")["NA", "2024-07-02"].status == "KILLED"


def test_what_the_daemon_does_not_know_runs_in_the_script(deployment: Deployment, caplog: pytest.LogCaptureFixture):
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    more = app.create_data("more", inputs=[app["parcels"]], compute_targets=[flow.NOOPCompute])
    app.execute(more["EU"]["2024-07-05"])
    assert "the daemon has another version of 'more'" in caplog.text
    (ran,) = app.history("more")
    run = deployment.ask(RUN, id=ran.run_id)["runOrError"]
    assert OWNER_TAG in {tag["key"] for tag in run["tags"]}


def test_what_follows_from_an_arrival_and_the_daemon_does_not_know_runs_in_the_script(deployment: Deployment):
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    assert app["more"], "the test before declared it"
    folder = deployment.root / "s3" / "landing" / "parcels" / "EU" / "2024-07-06"
    folder.mkdir(parents=True)
    (folder / "part-0.json").write_text('{"id": 1}\n')
    app.settle(100)  # it reports the file itself, and waits for what the daemon makes of it
    runs = {}
    for name in ("made", "more"):
        ran = executions(deployment, name)["EU", "2024-07-06"]
        assert ran.status == "COMPLETED"
        runs[name] = deployment.ask(RUN, id=ran.run_id)["runOrError"]
    owned = {name for name, run in runs.items() if OWNER_TAG in {tag["key"] for tag in run["tags"]}}
    assert owned == {"more"}, "the daemon ran the other one"


def test_a_reported_file_is_one_event_and_a_failed_blocking_check_starts_nothing(deployment: Deployment):
    day = "2024-09-01"
    folder = deployment.root / "s3/landing/returns" / day
    folder.mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    params = {"eventType": "ASSET_MATERIALIZATION", "assetKey": {"path": ["shop", "returns"]}, "partitionKeys": [day]}
    answer = deployment.ask(REPORT, params=params)["reportRunlessAssetEvents"]
    assert answer["__typename"] == "ReportRunlessAssetEventsSuccess", answer
    failed = until(lambda: executions(deployment, "checked").get((day,)))
    assert (failed.status, failed.error) == ("FAILED", "blocking asset check 'rows' failed")
    time.sleep(40)  # the arrival sensor finds the same file meanwhile, and the router ticks
    assert not executions(deployment, "after")
    (deployment.root / "good").touch()
    params = {"assetSelection": [{"path": ["shop", "checked"]}], "partitionNames": [day], "title": "again"}
    deployment.ask(BACKFILL, params=params)
    until(lambda: executions(deployment, "after").get((day,)))
    ran = deployment.app.history("checked")
    assert [execution.status for execution in ran] == ["FAILED", "COMPLETED"]
    assert (deployment.root / "s3/rheo-shop/internal_data/checked" / day / "_SUCCESS").exists()
    (deployment.root / "good").unlink()
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    with pytest.raises(RuntimeError, match="blocking asset check 'rows' failed"):
        app.execute(app["checked"]["2024-09-03"])


def test_a_report_over_rest_without_data_starts_nothing_and_why_says_so(deployment: Deployment):
    day = "2024-09-02"
    address = f"http://127.0.0.1:{deployment.port}/report_asset_materialization/shop/returns?partition={day}"
    with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=30) as answer:
        assert answer.status == 200
    app = flow.Application("shop", platform=flow.LocalPlatform(deployment.root))
    until(lambda: f"returns[{day}] was reported as materialised, but" in str(app.why(app["checked"][day])))
    assert (day,) not in executions(deployment, "checked")


def test_a_script_carries_on_when_the_daemon_dies(deployment: Deployment):
    app = deployment.app
    until(lambda: app.get_active_routes() == [])  # a run of Dagster's own that dies with it stays "started"
    os.killpg(deployment.process.pid, signal.SIGKILL)
    path = app.execute(app["made"]["EU"]["2024-08-01"])  # the daemon's last tick still counts for a minute
    assert path.endswith("made/EU/2024-08-01")
    assert executions(deployment, "made")["EU", "2024-08-01"].status == "COMPLETED"
    app.settle(120)
    assert app.get_active_routes() == []
