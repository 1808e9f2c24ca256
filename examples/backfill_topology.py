"""Backfilling a larger topology (Example 2, second part): ranges, nearest and refs.

    RHEO_PLATFORM=local python examples/backfill_topology.py

External data cannot be executed, so the script first acts as the upstream team and lands the days that are needed.
"""

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path

import rheo_assets as flow
from rheo_assets import *

flow.init_basic_logging(root_level=logging.WARN)

today = datetime.now()

app = AWSApplication("backfill-2", "us-east-1")

ext = app.marshal_external_data(
    S3Dataset("111222333444", "bucket-exec-recurse", "data", "{}"),  # "{}" stands for the day
    id="ext_data_1",
    dimension_spec={"day": {"type": DimensionType.DATETIME, "format": "%Y-%m-%d"}},
    protocol=SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"}),
)

# "A" reads the most recent (nearest) partition of the last two days
a = app.create_data(
    "A",
    inputs=[
        ext[:-2].nearest(),
        # the timer is linked with the dataset because both have a dimension 'day'
        app.add_timer("T", "rate(1 day)", time_dimension_id="day"),
    ],
    compute_targets=[NOOPCompute],
)

# "B" reads the last two days
b = app.create_data("B", inputs=[ext[:-2]], compute_targets=[NOOPCompute])

c = app.create_data("C", inputs=[ext], compute_targets=[NOOPCompute])

# recursive: 'nearest' builds its tip if nothing in its range is ready; 'ref' builds its whole range
d = app.create_data("D", inputs=[a[:-15].nearest(), b[:-2].ref, c], compute_targets=[NOOPCompute])


def land(day: datetime) -> None:
    """Writes one day of the external dataset, `_SUCCESS` last."""
    home = Path(os.environ.get("RHEO_HOME", Path.home() / ".rheo"))
    folder = home / "s3" / "bucket-exec-recurse" / "data" / f"{day:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0.json").write_text('{"id": 1}\n', encoding="utf-8")
    (folder / "_SUCCESS").touch()


if __name__ == "__main__":
    app.activate()
    for days_ago in range(3):
        land(today - timedelta(days_ago))

    # makes sure that D of today is ready; if the process dies, the next one continues
    app.execute(d[today], wait=True, recursive=True)

    for node in (a, b, c):
        assert app.poll(node[today])[0], f"{node.id} must be there"
    app.pause()
    print("D of today is ready, and A, B and C with it")
