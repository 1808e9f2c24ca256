"""The Dagster metadata of a materialisation: the facts of its execution."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import dagster as dg

from rheo_assets.bridge.eventlog.entries import execution_entry
from rheo_assets.bridge.execution.execution import Outcome
from rheo_assets.model.executions import Execution
from rheo_assets.model.nodes import DataNode
from rheo_assets.platforms.capabilities import Platform

_LISTED = 40


def describe(node: DataNode, outcome: Outcome, platform: Platform) -> dict[str, Any]:
    """Returns the metadata of a materialisation."""
    execution = outcome.execution
    uri = node.layout.folder(execution.partition)
    metadata: dict[str, Any] = {
        "dagster/uri": uri,
        "location": dg.MetadataValue.path(platform.storage.location(uri)),
        "inputs": dg.MetadataValue.md(_inputs_table(execution)),
    }
    for name, text in zip(node.spec.names, execution.partition, strict=True):
        metadata[f"dimension/{name}"] = text
    if execution.missing:
        metadata["missing inputs"] = dg.MetadataValue.md(_missing_list(execution))
    for result in outcome.results:
        metadata.update(_result_entries(result))
    if execution.started and execution.ended:
        metadata["duration (s)"] = round((execution.ended - execution.started).total_seconds(), 3)
    return {**metadata, **execution_entry(node.spec, execution)}


def _result_entries(result: Any) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    if result.engine:
        entries["engine"] = result.engine
    if result.rows is not None:
        entries["dagster/row_count"] = result.rows
    if result.schema:
        columns = [dg.TableColumn(name, kind) for name, kind in result.schema]
        entries["dagster/column_schema"] = dg.TableSchema(columns)
    if result.preview:
        entries["preview"] = dg.MetadataValue.md(markdown_table(result.preview))
    if result.warnings:
        entries["warnings"] = dg.MetadataValue.md("\n".join(f"* {warning}" for warning in result.warnings))
    for name, value in result.metadata.items():
        entries[str(name)] = _user_value(value)
    return entries


def _user_value(value: Any) -> Any:
    if not isinstance(value, Mapping) or "type" not in value:
        return dg.MetadataValue.json(value) if isinstance(value, Mapping | list) else value
    content = value["value"]
    kind = value["type"]
    if kind == "png":
        text = content if isinstance(content, str) else base64.b64encode(content).decode()
        return dg.MetadataValue.md(f"![chart](data:image/png;base64,{text})")
    makers: dict[str, Any] = {
        "markdown": dg.MetadataValue.md,
        "url": dg.MetadataValue.url,
        "path": dg.MetadataValue.path,
        "json": dg.MetadataValue.json,
    }
    return makers.get(kind, dg.MetadataValue.text)(content)


def markdown_table(rows: Any) -> str:
    """Returns rows as a markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = [str(row.get(name, "")).replace("|", "\\|").replace("\n", " ") for name in names]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _inputs_table(execution: Execution) -> str:
    if not execution.inputs:
        return "none"
    lines = ["| input | partitions, tip first |", "| --- | --- |"]
    for alias, partitions in execution.inputs.items():
        shown = ", ".join("/".join(p) or "(whole)" for p in partitions[:_LISTED])
        more = f" and {len(partitions) - _LISTED} more" if len(partitions) > _LISTED else ""
        lines.append(f"| `{alias}` | {shown}{more} |")
    return "\n".join(lines)


def _missing_list(execution: Execution) -> str:
    return "\n".join(
        f"* `{alias}`: " + ", ".join("/".join(p) or "(whole)" for p in partitions[:_LISTED])
        for alias, partitions in execution.missing.items()
    )
