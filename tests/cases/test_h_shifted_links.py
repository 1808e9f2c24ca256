"""Case H10: output links with a shift, both ways."""

from __future__ import annotations

from datetime import timedelta

from rheo_assets import EQUALS, Application
from tests.cases.topologies import DAY, LONG, event, node, ran, read, spec, timer


def test_an_output_link_shifts_forwards_and_its_reverse_backwards(app: Application) -> None:
    """H10."""
    t = timer(app, "t", "day")
    k = node(
        app,
        "k",
        [t],
        output_dimension_spec=spec(region=LONG, marketplace=LONG, cutoff_date=DAY),
        output_dim_links=[
            ("region", EQUALS, 1),
            ("marketplace", EQUALS, 1),
            ("cutoff_date", lambda day: day - timedelta(days=7), t("day")),
            (t("day"), lambda cutoff: cutoff + timedelta(days=7), "cutoff_date"),
        ],
    )
    assert app.execute(k[1][1]["2021-06-20"]).endswith("k/1/1/2021-06-20")
    assert read(app, k, "t") == ["2021-06-27"]
    event(app, t["2021-06-28"])
    assert ran(app, k) == ["1/1/2021-06-20", "1/1/2021-06-21"]
    assert read(app, k, "t") == ["2021-06-28"]
