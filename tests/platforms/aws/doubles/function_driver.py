"""The process of a double's function: calls the handler of the unpacked zip, as Lambda would.

Started by `functions.py` as a fork of `warm.py`: it sees the zip, the standard library and what a Lambda has (boto3),
not this checkout.
"""

import importlib
import json
import sys
from typing import Any


class Context:
    """What Lambda tells a handler.

    Args:
        seconds: The time that is left.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> float:
        return self._seconds * 1000


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    sys.path.insert(0, given["package"])
    module, _, name = given["handler"].rpartition(".")
    answer = getattr(importlib.import_module(module), name)(json.loads(given["event"]), Context(given["seconds"]))
    print("ANSWER", json.dumps(answer))


if __name__ == "__main__":
    main()
