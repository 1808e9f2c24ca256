"""The application: its name, its platform, and all verbs on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rheo_assets.application.declare import DeclareVerbs
from rheo_assets.application.inspect import InspectVerbs
from rheo_assets.application.missing_verbs import MISSING_VERBS
from rheo_assets.application.run import RunVerbs
from rheo_assets.application.sessions import Sessions
from rheo_assets.application.workspace import Workspace
from rheo_assets.errors import listed

if TYPE_CHECKING:
    from rheo_assets.platforms.capabilities import Platform


class Application(DeclareVerbs, RunVerbs, InspectVerbs):
    """Signal-driven data assets under one name.

    Nothing is read, written or started until a verb needs it.

    Args:
        name: The application's name: letters, digits, `_` and `-`.
        region: The AWS region.
        platform: Where data is stored and code runs. The default is the platform that `RHEO_PLATFORM` names, else
            `local`.
        since: The first day that Dagster lists for time dimensions; a dimension's own `min` takes precedence.
        engines: The names of the engines that its nodes may use, in order of preference: `["emr", "athena"]`. The
            default is every available engine, in the order of `rheo_assets.model.compute.engines.PREFERENCE`.

    Raises:
        DeclarationError: The name has characters that keys and paths cannot hold.
    """

    def __init__(
        self,
        name: str,
        region: str = "us-east-1",
        *,
        platform: Platform | None = None,
        since: datetime | str | None = None,
        engines: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.region = region
        self._space = Workspace(name, region, platform, since, engines)
        self._sessions = Sessions(self._space)

    @property
    def platform(self) -> Platform:
        """Where data is stored and code runs."""
        return self._space.platform

    def __getattr__(self, name: str) -> Any:
        """Raises for an unknown verb; for a verb of RheocerOS that is missing here, says what to do instead."""
        advice = MISSING_VERBS.get(name)
        if advice is None:
            raise AttributeError(f"'Application' object has no attribute {name!r}", name=name, obj=self)
        raise AttributeError(f"app.{name} is not available yet: {advice}")

    def __repr__(self) -> str:
        return f"<Application {self.name}: declares {listed(self._space.declared) or 'nothing yet'}>"
