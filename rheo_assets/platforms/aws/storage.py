"""Serves `s3://` objects from S3."""

from __future__ import annotations

import errno
import io
import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice, repeat
from typing import Any, Final

from rheo_assets.model.uris import bucket_and_key
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.replacement import S3Replacement
from rheo_assets.platforms.aws.retries import error_code
from rheo_assets.runner.data_files import is_bookkeeping, is_hidden_folder

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})
_FORBIDDEN: Final = frozenset({"403", "AccessDenied", "AllAccessDisabled"})
_LARGE: Final = 64 * 1024**2
_FIRST_LOOK: Final = 100  # keys: a partition has data among its first few, or none at all
_AT_ONCE: Final = 32
_CHUNK: Final = 1000
_CONFLICTS: Final = 20
_PAUSE: Final = 0.02
_log = logging.getLogger("rheo_assets")


@dataclass(frozen=True, slots=True)
class _Level:
    """What lies one level below a prefix: the names of folders, and of objects with their versions."""

    folders: list[str]
    objects: dict[str, str]


class S3Storage:
    """Serves an object store from S3, with as few calls as the question allows.

    Names that start with `.` are not objects, as on the local platform, nor are the `…_$folder$` objects of old EMR
    releases and keys that end with `/`. Other bookkeeping (`_SUCCESS`, `x.tmp`) is objects but not data: `has_objects`
    does not count it.

    A version is the ETag with the time of the last change, so that the same content written again is a new version; S3
    tells the time in whole seconds.

    Args:
        clients: Opens the client of S3.
        kms_key: The KMS key that encrypts what is written; S3's own keys otherwise.
    """

    def __init__(self, clients: Clients, *, kms_key: str | None = None) -> None:
        self._clients = clients
        self.kms_key = kms_key
        self._warned: set[str] = set()

    @property
    def encryption(self) -> Mapping[str, Any]:
        """How what is written is encrypted, as the arguments of S3's calls."""
        if self.kms_key is None:
            return {"ServerSideEncryption": "AES256"}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}

    def version(self, uri: str) -> str | None:
        """Returns the identity of the object's present content, or None when there is no such object."""
        bucket, key = bucket_and_key(uri)
        return self._version(bucket, key) if key else None

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written by S3's clock, which tells whole seconds; None when there is none."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:GetObject and s3:ListBucket"):
            head = self._head(bucket, key)
        return None if head is None else float(head["LastModified"].timestamp())

    def has_objects(self, uri: str) -> bool:
        """Returns whether any data object lies below the prefix; stops at the first page that has one.

        Bookkeeping (`_SUCCESS`, `x.tmp`) does not count.
        """
        bucket, key = bucket_and_key(uri)
        below = f"{key}/" if key else ""
        is_file = bool(key) and not is_bookkeeping(key.rpartition("/")[2])
        return self._any_data(bucket, below) or (is_file and self._version(bucket, key) is not None)

    def children(self, uri: str) -> Iterator[str]:
        """Yields the names one level below the prefix, sorted: folders and objects."""
        bucket, key = bucket_and_key(uri)
        level = self._level(bucket, f"{key}/" if key else "")
        yield from sorted({*level.folders, *level.objects})

    def find(self, prefix: str, depth: int, names: Sequence[str] | None) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yields (path segments below the prefix, version) of the objects exactly `depth` folders below it.

        Folders are listed, a page for each thousand. With `names` no data is listed: each name is asked for in each
        folder.
        """
        bucket, key = bucket_and_key(prefix)
        below = f"{key}/" if key else ""
        folders: list[tuple[str, ...]] = [()]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-s3") as pool:
            levels = partial(self._levels, pool, bucket, below)
            for _ in range(depth):
                folders = [(*above, name) for above, level in levels(folders) for name in level.folders]
            if names is None:
                for above, level in levels(folders):
                    yield from (((*above, name), version) for name, version in sorted(level.objects.items()))
                return
            wanted = ((*above, name) for above in folders for name in names)
            while some := list(islice(wanted, _CHUNK)):
                versions = pool.map(self._version, repeat(bucket), (below + "/".join(segments) for segments in some))
                yield from ((s, version) for s, version in zip(some, versions, strict=True) if version is not None)

    def read(self, uri: str) -> bytes:
        """Returns the object's content.

        Raises:
            FileNotFoundError: There is no such object.
        """
        bucket, key = bucket_and_key(uri)
        if not key:
            raise FileNotFoundError(errno.ENOENT, "there is no object", uri)
        with self.asking(uri, "s3:GetObject"):
            content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

    def write(self, uri: str, content: bytes) -> None:
        """Writes the object whole: a reader sees the old content or the new, never a part."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:PutObject"):
            if len(content) < _LARGE:
                self._s3.put_object(Bucket=bucket, Key=key, Body=content, **self.encryption)
                return
            from boto3.s3.transfer import TransferConfig

            parts = TransferConfig(multipart_threshold=_LARGE, multipart_chunksize=_LARGE)
            self._s3.upload_fileobj(io.BytesIO(content), bucket, key, ExtraArgs=dict(self.encryption), Config=parts)

    def create(self, uri: str, content: bytes) -> bool:
        """Writes the object only if there is none; of several writers at once exactly one gets True.

        An answer that is lost on the way does not lose the object: who wrote it is kept in its metadata.
        """
        bucket, key = bucket_and_key(uri, needs_key=True)
        writer = uuid.uuid4().hex
        with self.asking(uri, "s3:PutObject"):
            for attempt in range(_CONFLICTS):
                if self._put_new(bucket, key, content, writer, is_last=attempt == _CONFLICTS - 1):
                    return True
                head = self._head(bucket, key)
                if head is not None:
                    return bool(head["Metadata"].get("writer") == writer)
                time.sleep(_PAUSE * attempt)
        return False

    def delete(self, uri: str) -> None:
        """Deletes the object, or everything below the prefix; nothing there is no error."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:DeleteObject"):
            self._s3.delete_object(Bucket=bucket, Key=key)
        self.delete_keys(bucket, (found["Key"] for found in self.objects(bucket, f"{key}/")))

    def delete_keys(self, bucket: str, keys: Iterator[str]) -> None:
        """Deletes objects of one bucket, a thousand with each call."""
        while some := list(islice(keys, _CHUNK)):
            uri = f"s3://{bucket}/{some[0]}"
            with self.asking(uri, "s3:DeleteObject"):
                named = [{"Key": key} for key in some]
                answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
            for refused in answer.get("Errors", ()):
                raise OSError(errno.EIO, f"S3 did not delete it: {refused['Code']}", f"s3://{bucket}/{refused['Key']}")

    def objects(self, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
        """Yields every object whose key starts with the text, as `ListObjectsV2` describes it."""
        for page in self._pages(bucket, prefix):
            yield from page.get("Contents", ())

    def expire(self, uri: str, before: float) -> None:
        """Deletes the objects right below the prefix that were written before a time of S3's clock."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        pages = self._pages(bucket, f"{key}/", Delimiter="/")
        found = (each for page in pages for each in page.get("Contents", ()))
        self.delete_keys(bucket, (each["Key"] for each in found if each["LastModified"].timestamp() < before))

    def replacement(self, uri: str, writer: str) -> S3Replacement:
        """Returns a context in which the next content of the prefix is written aside, until it is published.

        The place is the same for the same prefix and writer: a job that outlives a driver goes on writing there, and
        whoever takes the execution over finds it.
        """
        bucket, key = bucket_and_key(uri, needs_key=True)
        return S3Replacement(self, self._clients, bucket, key, writer)

    def location(self, uri: str) -> str:
        """Returns the URI as S3's own tools write it."""
        bucket, key = bucket_and_key(uri)
        return f"s3://{bucket}/{key}" if key else f"s3://{bucket}"

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
                if code in _FORBIDDEN:
                    text = f"S3 refuses it: these credentials need {permission}, and the bucket's policy must allow it"
                    raise PermissionError(errno.EACCES, text, uri) from None
                raise

    @cached_property
    def _s3(self) -> Any:
        return self._clients.client("s3")

    def _head(self, bucket: str, key: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            head: Mapping[str, Any] = self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return head

    def _version(self, bucket: str, key: str) -> str | None:
        with self.asking(f"s3://{bucket}/{key}", "s3:GetObject and s3:ListBucket"):
            head = self._head(bucket, key)
        return None if head is None else _identity(head)

    def _put_new(self, bucket: str, key: str, content: bytes, writer: str, is_last: bool) -> bool:
        """Returns whether S3 took the object; not, where there is one or another writer is at it."""
        from botocore.exceptions import ClientError

        try:
            self._s3.put_object(
                Bucket=bucket, Key=key, Body=content, IfNoneMatch="*", Metadata={"writer": writer}, **self.encryption
            )
        except ClientError as error:
            if error_code(error) == "PreconditionFailed":
                return False
            if error_code(error) == "ConditionalRequestConflict" and not is_last:
                return False  # others write it just now: whether one succeeded is seen next
            raise
        return True

    def _any_data(self, bucket: str, prefix: str) -> bool:
        below: list[str] = []
        for level in self._listed(bucket, prefix, _FIRST_LOOK):
            if not all(map(is_bookkeeping, level.objects)):
                return True
            below += [f"{prefix}{name}/" for name in level.folders if not is_hidden_folder(name)]
        return any(self._any_data(bucket, folder) for folder in below)

    def _level(self, bucket: str, prefix: str) -> _Level:
        """Returns the whole level below a prefix, folders sorted."""
        pages = list(self._listed(bucket, prefix))
        folders = sorted(name for page in pages for name in page.folders)
        return _Level(folders, {name: version for page in pages for name, version in page.objects.items()})

    def _levels(
        self, pool: ThreadPoolExecutor, bucket: str, below: str, folders: Sequence[tuple[str, ...]]
    ) -> Iterator[tuple[tuple[str, ...], _Level]]:
        prefixes = (below + "".join(f"{segment}/" for segment in above) for above in folders)
        return zip(folders, pool.map(self._level, repeat(bucket), prefixes), strict=True)

    def _listed(self, bucket: str, prefix: str, page_size: int = 1000) -> Iterator[_Level]:
        """Yields the level below a prefix page by page."""
        for page in self._pages(bucket, prefix, Delimiter="/", PaginationConfig={"PageSize": page_size}):
            folders = (found["Prefix"][len(prefix) : -1] for found in page.get("CommonPrefixes", ()))
            objects = {found["Key"][len(prefix) :]: _identity(found) for found in page.get("Contents", ())}
            yield _Level(
                [name for name in folders if _is_seen(name)],
                {name: version for name, version in objects.items() if _is_seen(name)},
            )

    def _pages(self, bucket: str, prefix: str, **how: Any) -> Iterator[Mapping[str, Any]]:
        from botocore.exceptions import ClientError

        paginator = self._s3.get_paginator("list_objects_v2")
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


def _identity(found: Mapping[str, Any]) -> str:
    return f"{found['ETag'].strip(chr(34))}-{int(found['LastModified'].timestamp())}"


def _is_seen(name: str) -> bool:
    # The key of a marker that some tools write for a folder ends with `/`: its name is empty.
    return name != "" and not name.startswith(".") and not name.endswith("$folder$")
