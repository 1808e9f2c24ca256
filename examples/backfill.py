"""Basic backfilling (Example 2, first part): build a node's partition and everything it needs.

RHEO_PLATFORM=local python examples/backfill.py
"""

import logging
from datetime import datetime, timedelta

import rheo_assets as flow
from rheo_assets import *

flow.init_basic_logging(root_level=logging.WARN)

today = datetime.now()

app = AWSApplication("backfill-1", "us-east-1", access_id="<AWS_ACCESS_ID>", access_key="<AWS_ACCESS_KEY>")

a = app.create_data("A", inputs=[app.add_timer("T", "rate(1 day)")], compute_targets=[NOOPCompute])

b = app.create_data("B", inputs=[a[:-2]], compute_targets=[NOOPCompute])

if __name__ == "__main__":
    app.execute(b[today], wait=True, recursive=True)

    assert app.poll(b[today])[0], "Execution must have been successful!"
    assert app.poll(a[today - timedelta(1)])[0], "Recursive execution on node 'A' could not be found!"

    app.pause()
    print("B of today and A of today and yesterday are there")
