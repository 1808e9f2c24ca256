"""Example 3: one Glue table, its first hundred rows in Scala and in Python, and a team's own jar.

    RHEO_PLATFORM=local python -m examples.scala_python.twins

The declaration is `definitions/scala_python.py`. It looks the table up in the catalog, so this script registers it.
"""

from examples.scala_python.landing import DAY, build_jar, land, register
from rheo_assets import LocalPlatform

if __name__ == "__main__":
    platform = LocalPlatform()
    register(platform)
    build_jar(platform)
    land(platform)  # before the first activation, so that the event below is the only one

    from definitions.scala_python import (
        app,
        d_ad_orders_na,
        repeat_d_ad_orders_na_python,
        repeat_d_ad_orders_na_scala,
        repeat_d_ad_orders_na_scala_complex,
    )

    app.activate(allow_concurrent_executions=False)
    app.process(d_ad_orders_na[DAY])

    for node in (repeat_d_ad_orders_na_scala, repeat_d_ad_orders_na_python, repeat_d_ad_orders_na_scala_complex):
        path, records = app.poll(node[DAY])
        assert path, f"Execution failed! Failed records {records!r}"
        print(f"{node.id} is in {path}")
    twins = [
        app.load_data(node[DAY]).sort_values("order_id").reset_index(drop=True)
        for node in (repeat_d_ad_orders_na_scala, repeat_d_ad_orders_na_python)
    ]
    assert twins[0].equals(twins[1]), "the twins give the same rows"
    print(f"the Scala and the Python twin have the same {len(twins[0])} rows")
    app.pause()
