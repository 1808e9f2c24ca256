"""The scheduled Hello World: a timer starts the node once a day, and once for each missed day.

python examples/hello_world_scheduled.py
"""

import logging
from datetime import UTC, datetime, timedelta

import rheo_assets as flow
from rheo_assets import *

flow.init_basic_logging(root_level=logging.WARN)

app = flow.Application("hello-world-scheduled")

daily = app.add_timer("daily", "rate(1 day)", time_dimension_id="day")


def greet(inputs, output, params):
    """Runs in its own process, as it would on Lambda."""
    print(f"Hello World, it is {inputs['daily'].dimensions['day']}!")


hello = app.create_data("hello", inputs=[daily], compute_targets=[InlinedCompute(greet)])

if __name__ == "__main__":
    app.activate()
    # A daemon would wait until tomorrow. Here we move the clock by three days, so three ticks are due.
    app.tick(now=datetime.now(UTC) + timedelta(days=3, minutes=1))
    app.settle()
    for execution in app.history(hello):
        print(execution.node, "/".join(execution.partition), execution.status)
    assert len(app.history(hello)) == 3
