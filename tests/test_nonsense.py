"""Whatever stands where a declaration takes something: it is taken, or refused in a sentence that people can read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import RheoError
from rheo_assets.model.compute.targets import NOOPCompute
from rheo_assets.model.datasets import SUCCESS, S3Dataset, SignalIntegrityProtocol
from rheo_assets.model.declaration import data_node, external_node, projection_node, timer_node
from rheo_assets.model.links import EQUALS
from rheo_assets.model.signals import as_view
from rheo_assets.platforms.data.paths import paths_of
from rheo_assets.platforms.local.storage import LocalStorage

pytestmark = pytest.mark.fast

KINDS = [{"type": "STRING"}, {"type": "LONG"}, {"type": "DATETIME"}]
REGION, HOUR, DAY = KINDS
ATTRIBUTES = ["type", "format", "granularity", "min", "digits", "insensitive", "other"]
SUBJECTS = ["inputs", "input_dim_links", "output_dimension_spec", "output_dim_links", "compute_targets", "protocol"]
OPTIONS = ["dataset_format", "header", "delimiter", "compression", "pending_node_expiration_ttl_in_secs"]
SWITCHES = ["auto_input_dim_linking_enabled", "auto_output_dim_linking_enabled", "execution_hook"]
SPECIAL = ["", "*", "..", "/", "%2e%2e", "\0", "\ud800", "_:", "_:-3", "_:0", "%Y", "%Y/../%m", "%", "x" * 5000]
SPECIAL += ["9" * 5000, "rate(1 day)", "rate(0 days)", "cron(* * * * ? *)", "cron(0 0 L * ? 99)", "{}", "{}{}", "${x}"]

texts = st.sampled_from(SPECIAL) | st.text(max_size=20) | st.text("{}%/.*_:-0123456789YmdH ()?#LWcronate", max_size=20)
numbers = st.integers() | st.integers(-3, 3) | st.floats() | st.sampled_from([10**30, -(10**400), True, 1j])
moments = (
    st.datetimes() | st.dates() | st.just(datetime(1, 1, 1, tzinfo=UTC)) | st.just(timedelta(1)) | st.just(date.max)
)
odd = st.sampled_from([None, b"x", object(), len, int, EQUALS, lambda: 1, lambda x: x, Ellipsis, RheoError, KINDS])
plain = texts | numbers | moments | odd | st.builds(slice, numbers | st.none(), numbers | st.none())
keys = texts | numbers | moments | st.none()
nonsense = st.recursive(
    plain,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(keys, some, max_size=2) | st.tuples(some),
    max_leaves=4,
)


def external(spec: Any = None, only: Any = None, *segments: Any, name: Any = "x", protocol: Any = SUCCESS) -> Any:
    return external_node("app", name, S3Dataset("1", "lake", "x", *segments), spec, only, protocol)


X = external({"region": {**REGION, "day": {**DAY, "hour": HOUR}}}, None, "{}", "{}", "{}")
Y = external({"region": {**REGION, "day": DAY}}, {"NA": {"_:-3": {}}, "EU": {"2021-03-01": {}}}, "{}", "{}", name="y")


def made(inputs: Any = None, name: Any = "n", **said: Any) -> Any:
    return data_node(
        "app", "internal", name, [Y] if inputs is None else inputs, **{"compute_targets": NOOPCompute, **said}
    )


def used(view: Any) -> None:
    """Declares a node that reads a view, and asks where its data lies."""
    made([view])
    paths_of(LocalStorage("/nowhere"), as_view(view))  # type: ignore[arg-type]


def with_link(kind: str, position: int, value: Any) -> Any:
    link: list[Any] = [X("day"), EQUALS, Y("day")] if kind == "input_dim_links" else ["day", EQUALS, Y("day")]
    link[position] = value
    return made([X, Y], **{kind: [tuple(link)]})


PLACES: dict[str, Any] = {
    **{f"spec {a}": lambda v, d, a=a: external({"d": {**d, a: v}}, None, "{}") for a in ATTRIBUTES},
    "spec": lambda v, d: external(v, None, "{}"),
    "level": lambda v, d: external({"d": v}, None, "{}"),
    "name": lambda v, d: external({v: d}, None, "{}"),
    "filter": lambda v, d: external({"d": d}, v, "{}"),
    "value": lambda v, d: external({"d": d}, {v: {}}, "{}"),
    "below": lambda v, d: external({"d": d}, {"*": v}, "{}"),
    "segment": lambda v, d: external({"d": d}, None, v),
    "protocol": lambda v, d: external(protocol=v),
    "id": lambda v, d: external(name=v),
    "file": lambda v, d: SignalIntegrityProtocol("FILE_CHECK", {"file": v}),
    "arguments": lambda v, d: SignalIntegrityProtocol("FILE_CHECK", v),
    "announcement": lambda v, d: SignalIntegrityProtocol(v, {"file": "_SUCCESS"}),
    "account": lambda v, d: S3Dataset(v, "lake", "x"),
    "bucket": lambda v, d: S3Dataset("1", v, "x"),
    "folder": lambda v, d: S3Dataset("1", "lake", v),
    "format": lambda v, d: S3Dataset("1", "lake", "x", dataset_format=v),
    "delimiter": lambda v, d: S3Dataset("1", "lake", "x", dataset_format="csv", delimiter=v),
    "timer": lambda v, d: timer_node("app", v, "rate(1 day)"),
    "schedule": lambda v, d: timer_node("app", "t", v),
    "time": lambda v, d: timer_node("app", "t", "rate(1 day)", v),
    "time format": lambda v, d: timer_node("app", "t", "rate(1 day)", "day", v),
    "time granularity": lambda v, d: timer_node("app", "t", "rate(1 day)", "day", None, v),
    "time shift": lambda v, d: timer_node("app", "t", "rate(1 day)", "day", None, None, v),
    "projected": lambda v, d: projection_node("app", "p", v, {"day": DAY}, {"*": {}}),
    "projection spec": lambda v, d: projection_node("app", "p", Y, v, {"*": {}}),
    "projection filter": lambda v, d: projection_node("app", "p", Y, {"day": DAY}, v),
    "node": lambda v, d: made(name=v),
    "input": lambda v, d: made([v]),
    "named input": lambda v, d: made({"x": v}),
    "alias": lambda v, d: made({v: Y}),
    **{f"node {name}": lambda v, d, name=name: made(**{name: v}) for name in [*SUBJECTS, *OPTIONS, *SWITCHES]},
    **{f"link {n}": lambda v, d, n=n: with_link("input_dim_links", n, v) for n in range(3)},
    **{f"output link {n}": lambda v, d, n=n: with_link("output_dim_links", n, v) for n in range(3)},
    "links": lambda v, d: made([X, Y], input_dim_links=[v], output_dim_links=[v]),
    "reverse link": lambda v, d: made([X, Y], output_dim_links=[(X("day"), lambda day: day, (v,))]),
    "literal's function": lambda v, d: made(output_dim_links=[("day", lambda _: 1 / 0, v)]),
    "region": lambda v, d: used(X[v]),
    "day": lambda v, d: used(X["NA"][v]),
    "hour": lambda v, d: used(X["NA"]["*"][v]),
    "declared region": lambda v, d: used(Y[v]),
    "declared day": lambda v, d: used(Y["NA"][v]),
    "too deep": lambda v, d: used(X["NA"]["*"]["*"][v]),
    "dimension": lambda v, d: X(v),
    "range check": lambda v, d: X.range_check(v),
    "tip": lambda v, d: paths_of(LocalStorage("/nowhere"), X["*"]["*"]["*"], v),  # type: ignore[arg-type]
    "value of a tip": lambda v, d: paths_of(LocalStorage("/nowhere"), X["*"]["*"]["*"], ["NA", v, 7]),  # type: ignore[arg-type]
}


def refused(place: str, value: Any, dimension: dict[str, Any]) -> RheoError | None:
    """Returns the error that a value gets; other errors are raised."""
    try:
        PLACES[place](value, dimension)
    except RheoError as error:
        return error
    except TypeError as error:
        if "unhashable" not in str(error) or place not in {"name", "value", "alias"}:  # Python's, before we are asked
            raise
    return None


@pytest.mark.parametrize("place", PLACES)
@given(value=nonsense, dimension=st.sampled_from(KINDS))
def test_nonsense_is_taken_or_refused_in_a_sentence(place: str, value: Any, dimension: dict[str, Any]) -> None:
    error = refused(place, value, dimension)
    assert error is None or 20 < len(str(error)) < 1200
