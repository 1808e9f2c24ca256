"""Verbs of RheocerOS that this release does not have, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ALARMS = "metrics and alarms come later; what does not read them can be declared without"
_OTHERS = "nodes of other applications come later; declare their output as external data, completed by '_SUCCESS'"
_ENDING = "app.pause() stops it; what it made lies in one folder or bucket, rheo-<application>, to be deleted by hand"

MISSING_VERBS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("alarm", "create_alarm", "create_composite_alarm", "marshal_external_alarm"), _ALARMS),
    **dict.fromkeys(("metric", "create_metric", "marshal_external_metric", "create_dashboard"), _ALARMS),
    **dict.fromkeys(("get_route_metrics", "get_platform_metrics"), _ALARMS),
    **dict.fromkeys(("import_upstream", "export_to_downstream", "authorize_downstream"), _OTHERS),
    **dict.fromkeys(("terminate", "delete"), _ENDING),
}
