"""Arguments that a declaration does not take."""

from __future__ import annotations

import pytest

from rheo_assets import NOOPCompute
from rheo_assets.errors import DeclarationError
from rheo_assets.model.declaration import data_node, external_node, timer_node
from tests.model.test_signals import X

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("pool", "code location"),
        ("retry_policy", "retry_count"),
        ("automation_condition", "events of its inputs"),
        ("kinds", "follow from"),
        ("output_retention", "lifecycle rule"),
        ("range_check", r"inputs=\[orders"),
        ("partitions_def", "output_dimension_spec"),
        ("descripton", "Did you mean 'description'"),
        ("compute_target", "Did you mean 'compute_targets'"),
        ("sla", r"metadata=\{'sla': …\}"),
    ],
)
def test_a_name_that_is_not_an_argument_is_refused_with_what_to_write(name, remedy):
    with pytest.raises(DeclarationError, match=rf"node 'n': has no argument '{name}'. .*{remedy}"):
        data_node("app", "bucket", "n", [X], **{name: 1})


def test_timers_and_external_data_refuse_what_they_do_not_take():
    with pytest.raises(DeclarationError, match="timer 't': has no argument 'pool'"):
        timer_node("app", "t", "rate(1 day)", metadata={"pool": "x"})
    with pytest.raises(DeclarationError, match="has no argument 'retry_policy'"):
        external_node("app", "x", X, metadata={"retry_policy": 1})


@pytest.mark.parametrize("value", [3, ["a"], {1: "a"}])
def test_metadata_is_a_dict_with_text_keys(value):
    with pytest.raises(DeclarationError, match=r"metadata is .* Give a dict"):
        data_node("app", "bucket", "n", [X], metadata=value)


def test_free_metadata_stays_with_the_node():
    assert data_node(
        "app", "bucket", "n", [X], compute_targets=NOOPCompute, metadata={"runbook": "page 3"}
    ).metadata == {"metadata": {"runbook": "page 3"}}
