"""The codec: every partition has one key, and reads back from it."""

from __future__ import annotations

from datetime import datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rheo_assets as flow
from rheo_assets.bridge.partition_keys import Codec
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.filters import Filter
from rheo_assets.model.signals import Signal

SINCE = datetime(2024, 1, 1)
SPEC = DimensionSpec.of(
    {"region": {"type": "STRING", "day": {"type": "DATETIME", "hour": {"type": "LONG", "digits": 2}}}}
)
TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\\"), min_size=1, max_size=8)


def codec(spec: DimensionSpec = SPEC) -> Codec:
    return Codec(Signal("n", "app", spec, Filter.open(spec)), SINCE)


@pytest.mark.fast
@given(TEXTS.filter(lambda t: t not in {".", ".."} and "%" not in t), st.dates(), st.integers(0, 99))
def test_a_key_reads_back_and_holds_nothing_that_dagster_forbids(region, day, hour):
    partition = SPEC.read([region, day, hour])
    key = codec().encode(partition)
    assert codec().decode(key) == partition
    assert not set(key.replace("|", "", 1)) & set("|,[]")


@pytest.mark.fast
def test_dagster_sorts_the_two_dimensions_by_name():
    partition = SPEC.read(["NA", "2024-03-01", 7])
    assert codec().encode(partition) == "2024-03-01|NA~07"
    assert isinstance(codec().definition, dg.MultiPartitionsDefinition)


@pytest.mark.fast
def test_a_run_holds_the_contiguous_days_of_one_composite():
    days = [SINCE + timedelta(days=n) for n in (0, 1, 2, 5)]
    partitions = [SPEC.read([region, day, 7]) for day in days for region in ("NA", "EU")]
    runs = codec().runs_of(partitions)
    assert sorted(len(run) for run in runs) == [1, 1, 3, 3]
    for run in runs:
        assert list(codec().between(run[0], run[-1])) == run


@pytest.mark.fast
@pytest.mark.parametrize("key", ["", "NA", "2024-03-01|NA", "2024-03-01|NA~7~8", "soon|NA~07"])
def test_a_key_of_another_shape_is_refused(key):
    with pytest.raises(ValueError, match=r"."):
        codec().decode(key)


def test_values_that_nobody_declared_become_dynamic_keys_before_they_run(app: flow.Application):
    with dg.instance_for_test() as instance:
        own = codec()
        own.register(instance, [SPEC.read(["NA", "2024-03-01", 7]), SPEC.read(["NA", "2024-03-02", 7])])
        assert instance.get_dynamic_partitions(own.dynamic_name) == ["NA~07"]
