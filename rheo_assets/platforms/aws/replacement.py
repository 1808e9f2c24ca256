"""Replaces what lies below a prefix of S3: written aside, copied into place, the completion object last.

S3 has no rename. The next content lies below `s3://<bucket>/.writing/<writer>/<key>/`, which is the same place for the
same prefix and execution: a remote job that outlives its driver goes on writing there, and another driver that takes
the execution over publishes what it wrote. So nothing is removed from there until it is published; what an execution
that failed has left is removed by a lifecycle rule of the bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from rheo_assets.model.uris import object_path
from rheo_assets.platforms.aws.clients import Clients

if TYPE_CHECKING:
    from rheo_assets.platforms.aws.storage import S3Storage

STAGING: Final = ".writing"

_AT_ONCE: Final = 16


class S3Replacement:
    """The next content of one prefix; see `Replacement`.

    Args:
        storage: Lists, writes and deletes.
        clients: Opens the client that copies.
        bucket: The bucket.
        key: The prefix that is replaced, without a trailing slash.
        writer: The identity of the execution that writes.

    Attributes:
        uri: Where the next content is written.
        one_copy: The largest object that one call copies, bytes; S3 itself copies up to 5 GB at once.
        part: The size of the parts in which larger ones are copied, side by side.

    Raises:
        ValueError: The writer cannot stand in a key.
    """

    one_copy = 1024**3
    part = 256 * 1024**2

    def __init__(self, storage: S3Storage, clients: Clients, bucket: str, key: str, writer: str) -> None:
        self._storage = storage
        self._clients = clients
        self._bucket = bucket
        self._key = key
        self.uri = f"s3://{object_path(f's3://{bucket}/{STAGING}/{writer}/{key}')}"

    def __enter__(self) -> S3Replacement:
        """Begins, or goes on where a driver that died has left off: what its job wrote stays."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves what was not published, as its job may still run and be found again."""

    def publish(self, name: str, content: bytes) -> None:
        """Puts what was written in the place of the old content, and then the object that says it is whole."""
        staged = self._below(self.uri.partition(f"s3://{self._bucket}/")[2])
        completion = f"s3://{self._bucket}/{self._key}/{name}"
        self._storage.delete(completion)  # from here on until the end the partition counts as incomplete
        old = self._below(self._key)
        self._copy(staged)
        gone = (f"{self._key}/{path}" for path in old if path not in staged)
        self._storage.delete_keys(self._bucket, gone)
        self._storage.write(completion, content)
        self._storage.delete(self.uri)

    def _below(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """Returns what lies below a prefix by the path from there; folder markers are not among it."""
        found = self._storage.objects(self._bucket, f"{prefix}/")
        return {each["Key"][len(prefix) + 1 :]: each for each in found if not each["Key"].endswith(("/", "_$folder$"))}

    def _copy(self, staged: Mapping[str, Mapping[str, Any]]) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-s3") as pool:
            for _ in pool.map(self._copy_one, staged.items()):  # raises what a copy raised
                pass

    def _copy_one(self, item: tuple[str, Mapping[str, Any]]) -> None:
        path, found = item
        s3 = self._clients.client("s3")
        source = {"Bucket": self._bucket, "Key": found["Key"]}
        target = f"{self._key}/{path}"
        with self._storage.asking(f"s3://{self._bucket}/{target}", "s3:GetObject and s3:PutObject"):
            if found["Size"] <= self.one_copy:
                s3.copy_object(CopySource=source, Bucket=self._bucket, Key=target, **self._storage.encryption)
                return
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(multipart_threshold=1, multipart_chunksize=self.part, max_concurrency=_AT_ONCE)
            s3.copy(source, self._bucket, target, ExtraArgs=dict(self._storage.encryption), Config=parts)
