"""Example 1, first session: an event of the timer waits until the file arrives, then Scala runs.

    RHEO_PLATFORM=local python -m examples.dxg_proto.first_session

The declaration is `definitions/dxg_proto.py`. This script also acts as the upstream team: it lands generated JSON,
`_SUCCESS` last.
"""

from definitions.dxg_proto import app, timer_signal_daily, tpdex
from examples.dxg_proto.landing import land

DAY = "2021-09-20"

if __name__ == "__main__":
    app.activate()

    # emulate the injection of 'timer_signal_daily' as an event with a specific partition value
    app.process(timer_signal_daily[DAY], target_route_id=tpdex)
    assert app.poll(tpdex["NA"][DAY]) == (None, None), "nothing runs before the day has arrived"
    (group,) = app.pending(tpdex)
    print(f"blocked, waiting for {group.waiting_for}")

    land("NA", DAY)
    app.settle()

    path, records = app.poll(tpdex["NA"][DAY])
    assert path, f"Execution failed! Failed records {records!r}"
    print(f"tpdex of {DAY} is in {path}")
    app.preview_data(tpdex["NA"][DAY])
