"""Jobs of Glue whose node or target is gone: deleted at activation, since an account has a quota of jobs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any, Final

from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.errors import error_code, is_forbidden, told
from rheo_assets.platforms.aws.spark.glue import TAG_APPLICATION
from rheo_assets.platforms.aws.spark.glue_states import glue_state
from rheo_assets.platforms.aws.spark.jobs import job_name

_RECENT: Final = 50  # runs that are looked at
_log = logging.getLogger("rheo_assets")


def delete_gone_jobs(clients: Clients, application: str, kept: Collection[tuple[str, int]]) -> list[str]:
    """Deletes the jobs that Glue has of an application and nobody declares any more; returns their names.

    A job whose run goes on stays until the next activation. It is no failure if Glue denies a call.

    Args:
        clients: Opens the client of Glue.
        application: The application; its jobs are found by their tag.
        kept: What is declared: node ids and positions of targets.
    """
    glue = clients.client("glue")
    names = {job_name(application, node, position) for node, position in kept}
    try:
        gone = sorted(name for name in _jobs(glue, application) if name not in names and not _runs(glue, name))
        for name in gone:
            glue.delete_job(JobName=name)
    except Exception as error:
        if not is_forbidden(error) and error_code(error) != "EntityNotFoundException":
            _log.warning("jobs of nodes that are gone stay in Glue: %s", told(error))
        return []
    return gone


def _jobs(glue: Any, application: str) -> Iterator[str]:
    for page in glue.get_paginator("list_jobs").paginate(Tags={TAG_APPLICATION: application}):
        yield from page["JobNames"]


def _runs(glue: Any, name: str) -> bool:
    runs = glue.get_job_runs(JobName=name, MaxResults=_RECENT).get("JobRuns", ())
    return any(not glue_state(run).phase.has_ended for run in runs)
