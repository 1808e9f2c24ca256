"""The IAM policies of an application's roles, made from what it declares: the one place that says what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rheo_assets.model.topology import Topology
from rheo_assets.platforms.aws import statements as say
from rheo_assets.platforms.aws.statements import Place, Statement

DRIVER: Final = "driver"
_SERVICES: Final = {
    "glue": "glue.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "emr_serverless": "emr-serverless.amazonaws.com",
    "emr": "ec2.amazonaws.com",
}
_IN_DRIVER: Final = frozenset({"process"})  # engines that run in the driver, with its rights


def policies(topology: Topology, place: Place) -> dict[str, dict[str, Any]]:
    """Returns the policy document of each role of an application.

    Returns:
        `driver`: what whoever runs the application needs. By its ARN each role that jobs and functions run as, and who
        may assume it, as `trust of <ARN>`.
    """
    engines = {_engine(target) for node in topology.data_nodes.values() for target in node.targets} - {""}
    documents = {DRIVER: _document(_of_driver(topology, place, engines))}
    roles: dict[str, list[str]] = {}
    for engine in sorted(engines & _SERVICES.keys()):
        roles.setdefault(_role(place, engine), []).append(engine)
    for role, served in roles.items():
        documents[role] = _document(_of_role(topology, place, served))
        documents[f"trust of {role}"] = _trust([_SERVICES[engine] for engine in served])
    return documents


def _engine(target: Any) -> str:
    return str(getattr(target, "engine", ""))


def _role(place: Place, engine: str) -> str:
    return str(place.options.get(engine, {}).get("role") or f"arn:{place.partition}:iam::{place.account}:role/<role>")


def _of_driver(topology: Topology, place: Place, engines: set[str]) -> Iterator[Statement]:
    yield from say.of_bucket(place)
    yield from say.of_inputs(place, _inputs(topology))
    yield from say.of_catalog(place)
    yield from say.of_key(place)
    for engine in sorted(engines & say.OF_ENGINES.keys()):
        yield from say.OF_ENGINES[engine](place)
    passed = {engine: _role(place, engine) for engine in sorted(engines & _SERVICES.keys())}
    yield from say.of_passed_roles(place, passed, _SERVICES)
    yield from _asked_for(topology, _IN_DRIVER)


def _of_role(topology: Topology, place: Place, engines: list[str]) -> Iterator[Statement]:
    yield from say.of_data(place)
    yield from say.of_inputs(place, [*_inputs(topology), *_libraries(topology, engines)])
    yield from say.of_key(place)
    yield from say.of_logs(place, engines)
    yield from _asked_for(topology, frozenset(engines))


def _inputs(topology: Topology) -> list[str]:
    """Returns the places of external data: `bucket/folder`."""
    return sorted({node.layout.root.removeprefix("s3://") for node in topology.external_data.values()})


def _libraries(topology: Topology, engines: list[str]) -> list[str]:
    used = (t for node in topology.data_nodes.values() for t in node.targets if _engine(t) in engines)
    paths = {path for target in used for path in getattr(target, "libraries", ()) if path.startswith("s3://")}
    return sorted({path.removeprefix("s3://").rpartition("/")[0] for path in paths})


def _asked_for(topology: Topology, engines: frozenset[str]) -> Iterator[Statement]:
    """Yields what nodes asked for by `Permission`."""
    for node in topology.data_nodes.values():
        for place, target in enumerate(node.targets):
            if _engine(target) in engines:
                for number, each in enumerate(getattr(target, "permissions", ())):
                    sid = f"Node{say.plain(node.id)}{place}{number}"
                    yield Statement(sid, tuple(each.action), tuple(each.resource))


def _document(statements: Iterator[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement.to_json() for statement in statements]}


def _trust(services: list[str]) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [allowed]}
