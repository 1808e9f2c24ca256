"""The process of a double's function: calls the handler of the unpacked zip, as Lambda would.

Started by `functions.py` as a fork of `warm.py`: it sees the zip, the standard library and what a Lambda has (boto3),
not this checkout.
"""

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
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


def forbid(operations: Sequence[str]) -> None:
    """Lets AWS refuse operations, as it does where the role of the function has no right to them."""
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    call = BaseClient._make_api_call

    def checked(client: Any, operation: str, arguments: Any) -> Any:
        if operation in operations:
            text = f"User: arn:aws:sts::123456789012:assumed-role/functions/f is not authorized to perform: {operation}"
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)
        return call(client, operation, arguments)

    BaseClient._make_api_call = checked


def handled(given: Mapping[str, Any]) -> Any:
    module, _, name = given["handler"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module), name)
    except ImportError as error:
        error.lambdas = "Runtime.ImportModuleError"  # type: ignore[attr-defined]
        raise
    return handler(json.loads(given["event"]), Context(given["seconds"]))


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    sys.path.insert(0, given["package"])
    forbid(given["forbidden"])
    try:
        print("ANSWER", json.dumps(handled(given)))
    except Exception as error:
        kind = getattr(error, "lambdas", type(error).__name__)
        print("ERROR", json.dumps({"errorMessage": str(error), "errorType": kind, "stackTrace": []}))


if __name__ == "__main__":
    main()
