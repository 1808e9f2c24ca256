from datetime import timedelta

import pytest

from rheo_assets.planning.following import followers

pytestmark = pytest.mark.fast


def test_dimensions_of_the_same_name_follow_the_output(app):
    x, y = app.s3("x", "region", "day"), app.s3("y", "day")
    node = app.node("node", {"x": x["*"][:-7], "y": y.ref})
    assert followers(node.linkage, "day") == {("x", "day"), ("y", "day")}


def test_an_equals_link_is_followed_through_other_inputs(app):
    x, y = app.s3("x", "day"), app.s3("y", "other")
    node = app.node("node", [x, y], links=[(y("other"), lambda d: d, x("day"))])
    assert followers(node.linkage, "day") is None
    from rheo_assets.model.links import EQUALS

    node = app.node("node", [x, y], links=[(y("other"), EQUALS, x("day"))])
    assert followers(node.linkage, "day") == {("x", "day"), ("y", "other")}


def test_a_pinned_dimension_is_not_followed(app):
    x, y = app.s3("x", "day"), app.s3("y", "other")
    node = app.node("node", [x, y["2022-03-01"].ref])
    assert followers(node.linkage, "day") == {("x", "day")}
    pinned = app.node("pinned", [app.s3("z", "day", only={"2022-03-01": {}})])
    assert followers(pinned.linkage, "day") is None


def test_another_granularity_is_not_followed(app):
    x = app.s3("x", ("day", {"granularity": "HOUR"}))
    node = app.node("node", [x], out=["day"])
    assert followers(node.linkage, "day") is None


def test_a_function_of_the_other_dimensions_is_no_hindrance(app):
    x, y = app.s3("x", "region", "day"), app.s3("y", "org")
    node = app.node("node", [x, y.ref], links=[(y("org"), str.lower, x("region"))])
    assert followers(node.linkage, "day") == {("x", "day")}


def test_a_function_of_the_dimension_itself_is(app):
    x, y = app.s3("x", "day"), app.s3("y", "day")
    node = app.node("node", [x, y], links=[(y("day"), lambda d: d - timedelta(days=5), x("day"))])
    assert followers(node.linkage, "day") is None
