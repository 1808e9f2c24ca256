"""Where Athena keeps the results of its own: the workgroup has a say in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from rheo_assets.platforms.aws.errors import error_code, is_forbidden

_OURS: Final = "ours"
_OF_THE_WORKGROUP: Final = "of the workgroup"
_REFUSED: Final = "InvalidRequestException"


class Workgroup:
    """Starts queries in a workgroup.

    A workgroup with managed query results refuses a query that names an output location, and one that enforces its
    settings ignores it. The workgroup is looked at once. If the credentials may not look, Athena's answer to the first
    query tells.

    Args:
        client: Returns a client of Athena that repeats no call by itself.
        name: The workgroup.
    """

    def __init__(self, client: Callable[[], Any], name: str) -> None:
        self.name = name
        self._client = client
        self._place = ""
        self._looking = Lock()

    def start(self, location: str, query: Mapping[str, Any]) -> str:
        """Starts a query and returns its id.

        Args:
            location: Where its results go if the workgroup leaves that to the query.
            query: The other arguments of `StartQueryExecution`.
        """
        with self._looking:
            self._place = self._place or self._looked_up()
        tried = self._place
        try:
            return self._start(tried, location, query)
        except Exception as error:
            self._place = _told(error)
            if self._place in {"", tried}:
                raise
            return self._start(self._place, location, query)

    def _start(self, place: str, location: str, query: Mapping[str, Any]) -> str:
        where = {"ResultConfiguration": {"OutputLocation": location}} if place == _OURS else {}
        return str(self._client().start_query_execution(WorkGroup=self.name, **query, **where)["QueryExecutionId"])

    def _looked_up(self) -> str:
        try:
            found = self._client().get_work_group(WorkGroup=self.name)["WorkGroup"].get("Configuration", {})
        except Exception as error:
            if error_code(error) == _REFUSED or is_forbidden(error):  # starting a query says what is wrong, if anything
                return _OURS
            raise
        is_managed = found.get("ManagedQueryResultsConfiguration", {}).get("Enabled", False)
        has_location = bool(found.get("ResultConfiguration", {}).get("OutputLocation"))
        is_enforced = has_location and found.get("EnforceWorkGroupConfiguration", False)
        return _OF_THE_WORKGROUP if is_managed or is_enforced else _OURS


def _told(error: Exception) -> str:
    """Returns where results have to go, as Athena says it when it refuses a query; empty if it does not."""
    text = str(error) if error_code(error) == _REFUSED else ""
    if "ManagedQueryResultsConfiguration" in text:
        return _OF_THE_WORKGROUP
    return _OURS if "output location" in text.lower() else ""
