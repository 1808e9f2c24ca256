"""Unchecked data: a partition as an execution wrote it, until Dagster's blocking asset checks pass.

A file beside the data says so in place of the completion file. So nobody takes the partition for ready, and no crash
loses who wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.model.datasets import SUCCESS_FILE
from rheo_assets.model.dimensions import Partition
from rheo_assets.model.executions import Execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.capabilities import Platform

UNCHECKED_FILE: Final = "_UNCHECKED"  # readers pass over names with a leading underscore


@dataclass(frozen=True, slots=True)
class Checks:
    """The blocking checks of one node in one run.

    Attributes:
        run: The run that evaluates them.
        owner: The process that executes the whole run, as text; empty if its steps have processes of their own.
        names: Their names.
    """

    run: str
    owner: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unchecked:
    """An execution that wrote a partition's data, and the checks that decide whether it succeeded."""

    execution: Execution
    checks: Checks

    def to_json(self) -> bytes:
        """Returns the content of the file."""
        checks = {"run": self.checks.run, "owner": self.checks.owner, "names": list(self.checks.names)}
        return json.dumps({"execution": self.execution.to_fields(), "checks": checks}).encode()

    @staticmethod
    def of_json(content: bytes) -> Unchecked:
        """Reads what `to_json` returned."""
        fields: dict[str, Any] = json.loads(content)
        checks = fields["checks"]
        return Unchecked(
            Execution.of_fields(fields["execution"]), Checks(checks["run"], checks["owner"], tuple(checks["names"]))
        )


def completion_file(node: DataNode) -> str:
    """Returns the name of the file that a success writes."""
    return node.protocol.files[0] if node.protocol.files else SUCCESS_FILE


def announcements(node: DataNode) -> Iterable[str]:
    """Returns the names of the files that say of a partition what it is; an execution removes them first."""
    return (*node.protocol.files, UNCHECKED_FILE)


def announcement(node: DataNode, execution: Execution, checks: Checks | None) -> tuple[str, bytes]:
    """Returns the name and content of the file with which an execution ends."""
    if checks is not None:
        return UNCHECKED_FILE, Unchecked(execution, checks).to_json()
    return completion_file(node), json.dumps(execution.to_fields()).encode()


def unchecked(node: DataNode, partition: Partition, execution_id: str, platform: Platform) -> Unchecked | None:
    """Returns what one execution wrote into a partition, if it is there and its checks have not passed."""
    try:
        found = Unchecked.of_json(platform.storage.read(_uri(node, partition)))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if found.execution.id == execution_id else None


def record_unchecked(node: DataNode, partition: Partition, found: Unchecked, platform: Platform) -> None:
    """Writes anew which run evaluates the checks."""
    platform.storage.write(_uri(node, partition), found.to_json())


def complete(node: DataNode, partition: Partition, found: Unchecked, platform: Platform) -> None:
    """Lets a partition count as complete, as its checks have passed."""
    name, content = announcement(node, found.execution, None)
    platform.storage.write(f"{node.layout.uri(node.spec, partition)}/{name}", content)
    forget(node, partition, platform)


def forget(node: DataNode, partition: Partition, platform: Platform) -> None:
    """Removes the file, as its checks have been evaluated."""
    platform.storage.delete(_uri(node, partition))


def _uri(node: DataNode, partition: Partition) -> str:
    return f"{node.layout.uri(node.spec, partition)}/{UNCHECKED_FILE}"
