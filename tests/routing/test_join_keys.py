"""Join keys: which groups an event is offered to."""

from __future__ import annotations

import pytest

from rheo_assets import Application
from rheo_assets.routing.join_keys import JoinKeys
from tests.cases.topologies import S3, node

pytestmark = pytest.mark.fast


def test_the_only_event_input_is_offered_to_groups_of_its_own_partition_only() -> None:
    app = Application("app")
    x, y = S3(app, "x", "region", "day"), S3(app, "y", "day")
    alone = JoinKeys(node(app, "made", [x, y.ref]))
    one, other = x.spec.read(["NA", "2024-01-01"]), x.spec.read(["EU", "2024-01-01"])
    assert alone.key("x", one) == alone.key("x", x.spec.read(["NA", "2024-01-01"]))
    assert alone.key("x", one) != alone.key("x", other)
    joined = JoinKeys(node(app, "joined", [x, y]))
    assert joined.key("x", one) == joined.key("x", other) == joined.key("y", y.spec.read(["2024-01-01"]))
