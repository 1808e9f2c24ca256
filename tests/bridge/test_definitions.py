"""`app.definitions()` beside other definitions of one code location."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from rheo_assets import Application, InlinedCompute
from rheo_assets.bridge.loop.daemon import router_sensor_name
from tests.cases.topologies import S3, file, node


@pytest.fixture
def waiting(app: Application) -> Application:
    """An application whose router has one run to ask for."""
    node(app, "made", [S3(app, "x", "day")], compute_targets=[InlinedCompute(lambda i, o, p: None)])
    app.activate()
    file(app, app["x"]["2024-01-01"])
    return app


def requested(app: Application, defs: dg.Definitions, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    repository = defs.get_repository_def()
    found: list[dg.RunRequest] = []
    for name in (f"{app.name}__arrivals", router_sensor_name(app.name)):
        sensor = repository.get_sensor_def(name)
        context = dg.build_sensor_context(instance=instance, repository_def=repository)
        found = sensor.evaluate_tick(context).run_requests or []
    return list(found)


def test_a_run_of_the_router_needs_no_second_process(root: Path, waiting: Application) -> None:
    with dg.DagsterInstance.from_config(str(root / "dagster")) as instance:
        (request,) = requested(waiting, waiting.definitions(), instance)
    assert request.run_config["execution"] == {"config": {"in_process": {}}}


def test_the_executor_of_the_code_location_is_the_teams(root: Path, waiting: Application) -> None:
    @dg.asset
    def native() -> int:
        return 1

    team = dg.Definitions(assets=[native], executor=dg.multiprocess_executor.configured({"max_concurrent": 1}))
    merged = dg.Definitions.merge(waiting.definitions(), team)
    with dg.DagsterInstance.from_config(str(root / "dagster")) as instance:
        (request,) = requested(waiting, merged, instance)
    assert "execution" not in request.run_config
    jobs = merged.get_repository_def().get_all_jobs()
    assert {job.executor_def.name for job in jobs} == {"multiprocess"}


def test_two_applications_merge_into_one_code_location(root: Path, new_app) -> None:
    one, two = new_app("one"), new_app("two")
    for app in (one, two):
        node(app, "made", [S3(app, "x", "day")])
    merged = dg.Definitions.merge(one.definitions(), two.definitions())
    keys = {key.path[0] for key in merged.resolve_asset_graph().get_all_asset_keys()}
    assert {"one", "two"} <= keys
