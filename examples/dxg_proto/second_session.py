"""Example 1, second session: a team-mate finds the node by its name and backfills sixty days.

    RHEO_PLATFORM=local python -m examples.dxg_proto.second_session

It does not import the declaration: `app['tpdex']` is the node that the first session activated. Three mistakes of the
original are corrected: it looks up 'tpdef', writes the month as `09`, and adds the same day sixty times.
"""

import logging
import os
from datetime import datetime, timedelta

import rheo_assets as flow
from examples.dxg_proto.landing import land
from rheo_assets import *

DAYS = int(os.environ.get("DAYS", "60"))

log = flow.init_basic_logging(root_level=logging.WARN)
app = AWSApplication("dxg-proto", "us-east-1")

# retrieve the reference for tpdex node
tpdex_node = app["tpdex"]

if __name__ == "__main__":
    first = datetime(2021, 9, 21)
    for i in range(DAYS + 1):
        land("NA", f"{first + timedelta(i):%Y-%m-%d}")

    # execute it for the next day and the same region (blocking call by default)
    app.execute(tpdex_node["NA"]["2021-09-21"])

    # backfill the node for 60 days
    for i in range(DAYS):
        # don't wait for executions
        app.execute(tpdex_node["NA"][first + timedelta(i + 1)], wait=False)

    # join: wait for all executions
    for i in range(DAYS):
        path, records = app.poll(tpdex_node["NA"][first + timedelta(i + 1)])
        assert path, f"Execution failed! Failed records {records!r}"
    print(f"{DAYS} days of tpdex are ready")
