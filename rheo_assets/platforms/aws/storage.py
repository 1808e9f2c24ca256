"""Serves `s3://` objects from S3."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from typing import Final

from rheo_assets.model.uris import bucket_and_key
from rheo_assets.platforms.aws.errors import error_code
from rheo_assets.platforms.aws.objects import S3Objects, identity
from rheo_assets.platforms.aws.replacement import S3Replacement
from rheo_assets.runner.data_files import is_bookkeeping, is_hidden_folder

_FIRST_LOOK: Final = 100  # keys: a partition has data among its first few, or none at all
_AT_ONCE: Final = 32
_CHUNK: Final = 1000
_CONFLICTS: Final = 20
_PAUSE: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Level:
    """What lies one level below a prefix: the names of folders, and of objects with their versions."""

    folders: list[str]
    objects: dict[str, str]


class S3Storage(S3Objects):
    """Serves an object store from S3, with as few calls as the question allows.

    Names that start with `.` are not objects, as on the local platform, nor are the `…_$folder$` objects of old EMR
    releases and keys that end with `/`. Other bookkeeping (`_SUCCESS`, `x.tmp`) is objects but not data: `has_objects`
    does not count it.

    A version is the ETag with the time of the last change, so that the same content written again is a new version; S3
    tells the time in whole seconds.

    Args:
        clients: Opens the client of S3.
        kms_key: The KMS key that encrypts what is written; the bucket's default otherwise.
    """

    def version(self, uri: str) -> str | None:
        """Returns the identity of the object's present content, or None when there is no such object."""
        bucket, key = bucket_and_key(uri)
        return self.version_of(bucket, key) if key else None

    def modified(self, uri: str) -> float | None:
        """Returns when the object was written by S3's clock, which tells whole seconds; None when there is none."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        with self.asking(uri, "s3:GetObject and s3:ListBucket"):
            head = self.head(bucket, key)
        return None if head is None else float(head["LastModified"].timestamp())

    def has_objects(self, uri: str) -> bool:
        """Returns whether any data object lies below the prefix; stops at the first page that has one.

        Bookkeeping (`_SUCCESS`, `x.tmp`) does not count.
        """
        bucket, key = bucket_and_key(uri)
        below = f"{key}/" if key else ""
        is_file = bool(key) and not is_bookkeeping(key.rpartition("/")[2])
        return self._any_data(bucket, below) or (is_file and self.version_of(bucket, key) is not None)

    def children(self, uri: str) -> Iterator[str]:
        """Yields the names one level below the prefix, sorted: folders and objects."""
        bucket, key = bucket_and_key(uri)
        level = self._level(bucket, f"{key}/" if key else "")
        yield from sorted({*level.folders, *level.objects})

    def find(
        self,
        prefix: str,
        depth: int,
        names: Sequence[str] | None,
        passes: Callable[[tuple[str, ...]], bool] | None = None,
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yields (path segments below the prefix, version) of the objects exactly `depth` folders below it.

        Folders are listed, a page for each thousand. With `names` no data is listed: each name is asked for in each
        folder. What `passes` is true for costs nothing.
        """
        bucket, key = bucket_and_key(prefix)
        below = f"{key}/" if key else ""
        folders: list[tuple[str, ...]] = [()]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rheo-s3") as pool:
            levels = partial(self._levels, pool, bucket, below)
            for _ in range(depth):
                listed = ((*above, name) for above, level in levels(folders) for name in level.folders)
                folders = [folder for folder in listed if passes is None or not passes(folder)]
            if names is None:
                for above, level in levels(folders):
                    yield from (((*above, name), version) for name, version in sorted(level.objects.items()))
                return
            wanted = ((*above, name) for above in folders for name in names)
            while some := list(islice(wanted, _CHUNK)):
                versions = pool.map(self.version_of, repeat(bucket), (below + "/".join(segments) for segments in some))
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
            content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return content

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
                head = self.head(bucket, key)
                if head is not None:
                    return bool(head["Metadata"].get("writer") == writer)
                time.sleep(_PAUSE * attempt)
        return False

    def expire(self, uri: str, before: float) -> None:
        """Deletes the objects right below the prefix that were written before a time of S3's clock."""
        bucket, key = bucket_and_key(uri, needs_key=True)
        pages = self.pages(bucket, f"{key}/", Delimiter="/")
        found = (each for page in pages for each in page.get("Contents", ()))
        self.delete_keys(bucket, (each["Key"] for each in found if each["LastModified"].timestamp() < before))

    def replacement(self, uri: str, writer: str) -> S3Replacement:
        """Returns a context in which the next content of the prefix is written aside, until it is published.

        The place is the same for the same prefix and writer: a job that outlives a driver goes on writing there, and
        whoever takes the execution over finds it.
        """
        bucket, key = bucket_and_key(uri, needs_key=True)
        return S3Replacement(self, bucket, key, writer)

    def location(self, uri: str) -> str:
        """Returns the URI as S3's own tools write it."""
        bucket, key = bucket_and_key(uri)
        return f"s3://{bucket}/{key}" if key else f"s3://{bucket}"

    def _put_new(self, bucket: str, key: str, content: bytes, writer: str, is_last: bool) -> bool:
        """Returns whether S3 took the object; not, where there is one or another writer is at it."""
        from botocore.exceptions import ClientError

        try:
            self.s3.put_object(
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
        for page in self.pages(bucket, prefix, Delimiter="/", PaginationConfig={"PageSize": page_size}):
            folders = (found["Prefix"][len(prefix) : -1] for found in page.get("CommonPrefixes", ()))
            objects = {found["Key"][len(prefix) :]: identity(found) for found in page.get("Contents", ())}
            yield _Level(
                [name for name in folders if _is_seen(name)],
                {name: version for name, version in objects.items() if _is_seen(name)},
            )


def _is_seen(name: str) -> bool:
    # The key of a marker that some tools write for a folder ends with `/`: its name is empty.
    return name != "" and not name.startswith(".") and not name.endswith("$folder$")
