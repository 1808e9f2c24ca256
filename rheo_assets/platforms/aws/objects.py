"""Objects of S3 by bucket and key: written, listed, deleted, and S3's errors in the words of a file system."""

from __future__ import annotations

import errno
import gzip
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final

from rheo_assets.model.uris import bucket_and_key
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.errors import error_code, is_forbidden

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})
_AT_ONCE: Final = 16
_CHUNK: Final = 1000
_log = logging.getLogger("rheo_assets")


class S3Objects:
    """Writes, lists and deletes objects of S3.

    Args:
        clients: Opens the client of S3.
        kms_key: The KMS key that encrypts what is written; the bucket's default otherwise.

    Attributes:
        large: The size from which an object is written in parts, bytes.
        one_copy: The largest object that one call copies, bytes; S3 itself copies up to 5 GB at once.
        part: The size of the parts in which larger ones are copied, side by side.
    """

    large = 64 * 1024**2
    one_copy = 1024**3
    part = 256 * 1024**2

    def __init__(self, clients: Clients, *, kms_key: str | None = None) -> None:
        self._clients = clients
        self.kms_key = kms_key
        self._warned: set[str] = set()

    @cached_property
    def s3(self) -> Any:
        """The client of S3."""
        return self._clients.client("s3")

    @property
    def encryption(self) -> Mapping[str, Any]:
        """How what is written is encrypted, as arguments of S3's calls; none unless a key was named.

        A bucket has a default of its own, perhaps another team's key, and its policy may deny anything else.
        """
        if self.kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}

    def write(self, uri: str, content: bytes) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:PutObject"):
            if len(content) < self.large:
                self.s3.put_object(Bucket=bucket, Key=key, Body=content, **self.encryption)
                return
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(multipart_threshold=self.large, multipart_chunksize=self.large)
            self.s3.upload_fileobj(io.BytesIO(content), bucket, key, ExtraArgs=dict(self.encryption), Config=parts)

    def copy(self, bucket: str, key: str, size: int, target: str) -> None:
        """Copies an object of a size within its bucket; raises `FileNotFoundError`."""
        source = {"Bucket": bucket, "Key": key}
        with self.asking(f"s3://{bucket}/{target}", "s3:GetObject and s3:PutObject"):
            if size <= self.one_copy:
                self.s3.copy_object(CopySource=source, Bucket=bucket, Key=target, **self.encryption)
                return
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(multipart_threshold=1, multipart_chunksize=self.part, max_concurrency=_AT_ONCE)
            self.s3.copy(source, bucket, target, ExtraArgs=dict(self.encryption), Config=parts)

    def unpack(self, bucket: str, key: str, target: str) -> None:
        """Writes what a gzip file holds as another object, through this process; raises `FileNotFoundError`."""
        with self.asking(f"s3://{bucket}/{target}", "s3:GetObject and s3:PutObject"):
            packed = self.s3.get_object(Bucket=bucket, Key=key)["Body"]
            with gzip.GzipFile(fileobj=packed) as content:
                stream = SimpleNamespace(read=content.read)  # it cannot be read twice, whatever GzipFile says
                self.s3.upload_fileobj(stream, bucket, target, ExtraArgs=dict(self.encryption))

    def delete(self, uri: str) -> None:
        """Deletes the object, or everything below the prefix; nothing there is no error."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:DeleteObject"):
            self.s3.delete_object(Bucket=bucket, Key=key)
        self.delete_keys(bucket, (found["Key"] for found in self.objects(bucket, f"{key}/")))

    def delete_keys(self, bucket: str, keys: Iterator[str]) -> None:
        """Deletes objects of one bucket, a thousand with each call."""
        while some := list(islice(keys, _CHUNK)):
            uri = f"s3://{bucket}/{some[0]}"
            with self.asking(uri, "s3:DeleteObject"):
                named = [{"Key": key} for key in some]
                answer = self.s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
            for refused in answer.get("Errors", ()):
                raise OSError(errno.EIO, f"S3 did not delete it: {refused['Code']}", f"s3://{bucket}/{refused['Key']}")

    def objects(self, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Yields every object whose key starts with the text, as `ListObjectsV2` describes it."""
        for page in self.pages(bucket, prefix):
            yield from page.get("Contents", ())

    @contextmanager
    def asking(self, uri: str, permission: str) -> Iterator[None]:
        """Tells the errors of S3 as those of a file system."""
        from botocore.exceptions import ClientError

        with self._clients.explaining(repr(uri)):
            try:
                yield
            except ClientError as error:
                code = error_code(error)
                if code in _ABSENT:
                    what = "there is no such bucket" if code == "NoSuchBucket" else "there is no object"
                    raise FileNotFoundError(errno.ENOENT, what, uri) from None
                if is_forbidden(error):
                    said = error.response["Error"].get("Message") or code
                    text = (
                        f"S3 refuses it: these credentials need {permission}, and the bucket's policy must allow it "
                        f"(S3 says: {said})"
                    )
                    raise PermissionError(errno.EACCES, text, uri) from None
                raise

    def head(self, bucket: str, key: str) -> Mapping[str, Any] | None:
        """Returns an object as `HeadObject` describes it; None if it does not exist."""
        from botocore.exceptions import ClientError

        try:
            head: Mapping[str, Any] = self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return head

    def version_of(self, bucket: str, key: str) -> str | None:
        """Returns the identity of an object's present content; None if it does not exist."""
        with self.asking(f"s3://{bucket}/{key}", "s3:GetObject and s3:ListBucket"):
            head = self.head(bucket, key)
        return None if head is None else identity(head)

    def pages(self, bucket: str, prefix: str, **how: Any) -> Iterator[Mapping[str, Any]]:
        """Yields the pages of `ListObjectsV2`; none, and a warning once, if the bucket does not exist."""
        from botocore.exceptions import ClientError

        paginator = self.s3.get_paginator("list_objects_v2")
        with self.asking(f"s3://{bucket}/{prefix}", "s3:ListBucket"):
            try:
                yield from paginator.paginate(Bucket=bucket, Prefix=prefix, **how)
            except ClientError as error:
                if error_code(error) != "NoSuchBucket":
                    raise
                self._warn_of(bucket)

    def _warn_of(self, bucket: str) -> None:
        if bucket not in self._warned:
            self._warned.add(bucket)
            _log.warning("there is no bucket %r: whatever reads it waits until there is", bucket)


def identity(found: Mapping[str, Any]) -> str:
    """Returns the version of an object as S3 describes it: the ETag with the time of the last change."""
    return f"{found['ETag'].strip(chr(34))}-{int(found['LastModified'].timestamp())}"
