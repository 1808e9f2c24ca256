"""What people read when they look at an object or mistype something: their own node, what was found, what to do."""

from __future__ import annotations

import re

import pytest

from rheo_assets import Application, PrestoSQL
from rheo_assets.bridge.eventlog.instance import home
from rheo_assets.errors import ExecutionFailed, NotReady, StateError
from tests.model.test_signals import X

pytestmark = pytest.mark.fast


def test_a_node_a_view_and_an_application_are_shown_in_one_line():
    app = Application("shop")
    assert repr(app) == "<Application shop: declares nothing yet>"
    app.create_data("totals", compute_targets=[PrestoSQL("select 1 as one")])
    assert repr(app) == "<Application shop: declares totals>"
    assert repr(app["totals"]) == "<DataNode totals of shop>"
    assert repr(X) == "<ExternalData x[region][day][hour] of app>"
    assert repr(X["NA"].ref) == "<View x[NA].ref of app>"


def test_a_value_that_its_dimension_cannot_hold_is_named_with_the_view_that_it_was_written_on():
    with pytest.raises(ValueError, match=r"x\[NA\]: dimension 'day' cannot hold '2024-13-01'"):
        X["NA"]["2024-13-01"]


def test_errors_spell_a_partition_as_it_is_written_in_code():
    assert str(NotReady("x", ("NA", "07"), ["y[NA]"])).startswith("x[NA][07] could not be started: not ready: y[NA]")
    assert str(ExecutionFailed("hello", (), "its run", "oh")) == "hello failed in its run: oh"


def test_a_name_that_nobody_recorded_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("RHEO_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=rf"nothing has been activated in {tmp_path}/s3/rheo-shop/state"):
        Application("shop")["totals"]


def test_a_verb_names_what_nothing_makes_and_nodes_of_others():
    app, other = Application("shop"), Application("other")
    daily = app.add_timer("daily", "rate(1 day)")
    with pytest.raises(ValueError, match="'daily' is a timer: 'shop' does not build it"):
        app.why(daily["2024-03-01"])
    with pytest.raises(ValueError, match="is a node of 'shop', not of 'other'"):
        other.execute(daily["2024-03-01"])


@pytest.mark.parametrize(
    ("noun", "declare"),
    [
        ("node", lambda app, daily: app.create_data("n", [daily], compute_targets=PrestoSQL("select 1 as one"))),
        ("projection", lambda app, daily: app.project("n", daily, {"time": {"type": "DATETIME"}}, {"*": {}})),
    ],
)
def test_an_input_that_another_application_declares_is_refused_with_what_to_do(noun, declare):
    daily = Application("shop").add_timer("daily", "rate(1 day)")
    told = (
        f"{noun} 'n': input 'daily': is a node of 'shop', not of 'other'. Declare it in 'other', too; the output of "
        "another application is external data, completed by '_SUCCESS'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        declare(Application("other"), daily["*"])


@pytest.mark.parametrize("verb", ["create_alarm", "get_route_metrics", "terminate", "delete"])
def test_a_verb_of_rheoceros_that_is_not_there_says_so(verb):
    with pytest.raises(AttributeError, match=f"app.{verb} is not available yet: .*later|app.pause"):
        getattr(Application("shop"), verb)
    assert not hasattr(Application("shop"), "no_such_verb")


@pytest.mark.parametrize("name", ["50%", "what?"])
def test_a_folder_that_dagsters_sqlite_cannot_open_is_refused_by_name(tmp_path, monkeypatch, name):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(StateError, match="choose a RHEO_HOME without '%' and"):
        home(tmp_path / name)
