"""The schedules of timers, in EventBridge's syntax: `rate(5 minutes)` and `cron(0 10 * * ? *)`, in UTC.

The rules are those of the EventBridge user guide, "Setting a schedule pattern for scheduled rules".
"""

from rheo_assets.model.schedules.cron import Cron
from rheo_assets.model.schedules.expressions import Schedule, parse_schedule
from rheo_assets.model.schedules.rate import Rate

__all__ = ["Cron", "Rate", "Schedule", "parse_schedule"]
