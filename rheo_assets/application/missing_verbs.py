"""Verbs of RheocerOS that this release does not have, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ALARMS = "metrics and alarms come later; declare the nodes that do not read them"
_OTHERS = "nodes of other applications come later; declare their output as external data, completed by '_SUCCESS'"
_ENDING = "app.pause() stops it; its data is in one folder or bucket, rheo-<application>, which you delete by hand"

MISSING_VERBS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("alarm", "create_alarm", "create_composite_alarm", "marshal_external_alarm"), _ALARMS),
    **dict.fromkeys(("metric", "create_metric", "marshal_external_metric", "create_dashboard"), _ALARMS),
    **dict.fromkeys(("get_route_metrics", "get_platform_metrics"), _ALARMS),
    **dict.fromkeys(("import_upstream", "export_to_downstream", "authorize_downstream"), _OTHERS),
    **dict.fromkeys(("terminate", "delete"), _ENDING),
}
