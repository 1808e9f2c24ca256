"""Warnings of ranges that often mean something else than their author thinks."""

from __future__ import annotations

import logging

import pytest

from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.declaration import data_node
from rheo_assets.model.recording.nodes import dump_topology, load_topology
from rheo_assets.model.topology import Topology
from tests.model.test_links import ext

pytestmark = pytest.mark.fast

IMPLIED = {"type": "DATETIME", "format": "%Y-%m-%d %H"}
WRITTEN = {**IMPLIED, "granularity": "HOUR"}
DAY = {"type": "DATETIME"}


def warned(caplog, view):
    caplog.clear()
    with caplog.at_level(logging.WARNING, "rheo_assets"):
        node = data_node("app", "bucket", "n", [view], compute_targets=NOOPCompute)
    return caplog.messages, node


def test_a_range_on_a_granularity_that_nobody_wrote_is_warned_of(caplog):
    (told,), _ = warned(caplog, ext("x", at=IMPLIED)[:-3])
    assert told.startswith("node 'n': input 'x', x[_:-3]: 'at' counts in steps of one HOUR")
    assert "'granularity': DatetimeGranularity.HOUR" in told


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[:], lambda x: x["2021-03-01 05"]])
def test_a_view_that_reads_its_tip_only_is_not_warned_of(caplog, view):
    assert warned(caplog, view(ext("x", at=IMPLIED)))[0] == []


@pytest.mark.parametrize("level", [WRITTEN, DAY, {"type": "DATETIME", "format": "%Y%m%d"}, {"type": "LONG"}])
def test_a_range_on_a_written_granularity_or_on_days_is_not_warned_of(caplog, level):
    assert warned(caplog, ext("x", at=level)[:-3])[0] == []


def test_an_open_range_that_starts_back_is_one_partition_and_says_how_to_write_the_last_seven(caplog):
    (told,), _ = warned(caplog, ext("x", day=DAY)[-7:])
    assert "[-7:] is one partition, 7 steps before the tip. The last 7 are [:-7]" in told
    for meant in (ext("x", day=DAY)[-7:-1], ext("x", day=DAY)[-1:], ext("x", day=DAY)[:-7]):
        assert warned(caplog, meant)[0] == []


def test_a_recorded_declaration_is_not_warned_of_again(caplog):
    x = ext("x", at=IMPLIED)
    _, node = warned(caplog, x[-7:])
    caplog.clear()
    load_topology(dump_topology(Topology("app", {"x": x, "n": node}), lambda *_: ""), lambda _: None)
    assert caplog.messages == []
