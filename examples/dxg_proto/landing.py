"""Acts as the upstream team of Example 1: lands a day of generated JSON, `_SUCCESS` last."""

import json
import os
import random
from pathlib import Path
from typing import Any

ROWS = 40


def rows(region: str, day: str) -> list[dict[str, Any]]:
    """Returns the rows of a day: always the same, some with nulls, some duplicated."""
    chance = random.Random(f"{region} {day}")  # the same rows every time
    made = [_row(region, day, number, chance) for number in range(ROWS)]
    return made + [dict(row) for row in chance.sample(made, 5)]


def _row(region: str, day: str, number: int, chance: random.Random) -> dict[str, Any]:
    row = {
        "datestamp": day,
        "entityId": f"entity-{number % 7}",
        "requestId": f"{region}-{day}-{number}",
        "marketplaceId": 1,
        "asin": f"B{number:09}",
        "sessionId": f"session-{number % 11}",
        "merchant_id": 100 + number % 3,
        "client_id": f"client-{number % 2}",
        "addressId": f"address-{number}",
        "offerSku": f"sku-{number}",
        "deliveryOption": [{"speed": speed} for speed in chance.sample(["same-day", "next-day", "standard"], 2)],
    }
    if number % 8 == 0:
        row[chance.choice(["addressId", "requestId", "asin", "entityId", "deliveryOption"])] = None
    return row


def land(region: str, day: str) -> None:
    """Writes one day of the external dataset."""
    home = Path(os.environ.get("RHEO_HOME", Path.home() / ".rheo"))
    folder = home / "s3" / "dxg-dev-external-data-poc" / "pdex" / region / day
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows(region, day))
    (folder / "part-0.json").write_text(text, encoding="utf-8")
    (folder / "_SUCCESS").touch()
