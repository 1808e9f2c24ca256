"""HEAD requests of S3 that fail: asked once more by a call whose answer has a body.

The answer to a HEAD has none. Expired credentials are a bare 400, and a wrong clock or a missing right a bare 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = frozenset({"400", "403"})
_SAME: Final = ("Bucket", "Key", "VersionId", "ExpectedBucketOwner", "RequestPayer")
_PARAMS: Final = "rheo_assets.params"


def explain_heads(s3: Any) -> None:
    """Gives the errors of a client's HEAD requests the code and the message that S3 has for them."""

    def remember(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[_PARAMS] = {name: params[name] for name in _SAME if name in params}

    def explain(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        if parsed.get("Error", {}).get("Code") in _BARE and _PARAMS in context:
            parsed["Error"] = _asked_again(s3, context[_PARAMS]) or parsed["Error"]

    for operation in ("HeadObject", "HeadBucket"):
        s3.meta.events.register(f"provide-client-params.s3.{operation}", remember)
        s3.meta.events.register(f"after-call.s3.{operation}", explain)


def _asked_again(s3: Any, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the error of the same question with a body; None if S3 answers that one."""
    from botocore.exceptions import ClientError

    try:
        if "Key" in params:
            s3.get_object(**params)["Body"].close()
        else:
            s3.list_objects_v2(**params, MaxKeys=1)
    except ClientError as error:
        return dict(error.response["Error"])
    return None
