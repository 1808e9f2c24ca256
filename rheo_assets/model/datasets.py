"""Datasets: where partitions are stored, in which format, and which file marks one as complete."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from rheo_assets.errors import DeclarationError, InvalidValue
from rheo_assets.model.column_types import kind_of, spelled
from rheo_assets.model.dimensions import DimensionSpec, DimensionType, Partition
from rheo_assets.model.hive_folders import is_hive, meaning, spellings
from rheo_assets.model.uris import fault_of

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}\Z")
PLACEHOLDER = "{}"
WILDCARD = "*"
SUCCESS_FILE = "_SUCCESS"
_WRITE_FILE = 'Write {"file": "_SUCCESS"}'
_READER_OPTIONS = ("dataset_format", "delimiter", "header", "compression", "columns")


class DataFormat(StrEnum):
    """The file formats that engines read and write."""

    PARQUET = "parquet"
    JSON = "json"
    CSV = "csv"
    ORC = "orc"

    @classmethod
    def of(cls, declared: object, where: str) -> DataFormat:
        """Reads a format's name in any case."""
        try:
            return cls(str(getattr(declared, "value", declared)).lower())
        except ValueError:
            known = [str(member) for member in cls]
            raise DeclarationError(where, f"dataset_format is {declared!r}", f"Give one of {known}") from None


@dataclass(frozen=True, slots=True)
class SignalIntegrityProtocol:
    """What announces a partition: `SignalIntegrityProtocol("FILE_CHECK", {"file": "_SUCCESS"})`.

    `file` may be a list: any of these files announces the partition and makes it ready.
    """

    type: str
    args: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.type != "FILE_CHECK":
            raise DeclarationError(f"protocol {self.type!r}", "is not known", 'Write "FILE_CHECK"')
        if not isinstance(self.args, Mapping):
            raise DeclarationError("protocol FILE_CHECK", f"its arguments are {self.args!r}", _WRITE_FILE)
        named = self.args.get("file", ())
        for name in named if isinstance(named, list | tuple | set) else (named,):
            if not isinstance(name, str) or fault_of(name):
                raise DeclarationError("protocol FILE_CHECK", f"file {name!r} is not a file name", _WRITE_FILE)
        if not self.files:
            raise DeclarationError("protocol FILE_CHECK", "does not name a file", _WRITE_FILE)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the completion files."""
        named = self.args.get("file", ())
        return (named,) if isinstance(named, str) else tuple(named)


SUCCESS: SignalIntegrityProtocol = SignalIntegrityProtocol("FILE_CHECK", {"file": SUCCESS_FILE})


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a signal's partitions: `root/segment/segment`, one `{}` per dimension.

    A value with the format `%Y/%m/%d` fills its `{}` with three segments. A `*` means any text within its segment.

    >>> Layout("s3://b/pdex", ("region={}", "{}")).folder(("NA", "2021-09-20"))
    's3://b/pdex/region=NA/2021-09-20'
    """

    root: str
    segments: tuple[str, ...]

    def depth(self, spec: DimensionSpec) -> int:
        """Returns the number of folder levels between the root and a partition."""
        return len(self.segments) + sum(dimension.segments - 1 for dimension in spec)

    @property
    def has_wildcard(self) -> bool:
        """Whether a `*` is part of a folder's name, so that the values alone do not determine it."""
        return any(WILDCARD in segment for segment in self.segments)

    def folder(self, rendered: tuple[str, ...]) -> str:
        """Returns a partition's URI from its values as text, without a trailing slash; a `*` is unchanged."""
        texts = iter(rendered)
        filled = [re.sub(r"\{\}", lambda _: next(texts), segment) for segment in self.segments]
        return "/".join([self.root, *filled])

    def uri(self, spec: DimensionSpec, partition: Partition) -> str:
        """Returns a partition's URI."""
        return self.folder(spec.render(partition))

    def uris(self, spec: DimensionSpec, partition: Partition) -> tuple[str, ...]:
        """Returns the possible URIs of a partition's folder: in `name=value` folders, some writers escape characters.

        >>> spec = DimensionSpec.of({"at": {"type": "STRING"}})
        >>> Layout("s3://b/logs", ("at={}",)).uris(spec, ("05:00",))
        ('s3://b/logs/at=05:00', 's3://b/logs/at=05%3A00')
        """
        texts = spec.render(partition)
        hive = _of_hive(self.segments)
        if not any(hive):
            return (self.folder(texts),)
        each = [spellings(text) if escaped else (text,) for text, escaped in zip(texts, hive, strict=True)]
        count = max(map(len, each), default=1)
        uris = (self.folder(tuple(known[min(n, len(known) - 1)] for known in each)) for n in range(count))
        return tuple(dict.fromkeys(uris))

    def parse(self, spec: DimensionSpec, relative: tuple[str, ...]) -> Partition:
        """Returns the partition that is named by path segments below the root.

        Raises:
            InvalidValue: The segments are not a partition, or are not written as their values render.
        """
        path = "/".join(relative)
        shapes = tuple((dimension.segments, dimension.shape) for dimension in spec)
        match = _expression(self.segments, shapes).fullmatch(path)
        if match is None:
            raise InvalidValue(",".join(spec.names), path, f"paths like {'/'.join(self.segments)!r}")
        found = zip(match.groups(), _of_hive(self.segments), strict=True)
        texts = tuple(meaning(text) if escaped else text for text, escaped in found)
        partition = spec.read(texts)
        for dimension, value, text in zip(spec, partition, texts, strict=True):
            rendered = dimension.render(value)
            if not dimension.folds and rendered != text:
                problem = f"values written as they render ({rendered!r}, not {text!r})"
                raise InvalidValue(dimension.name, text, f"{problem}. {dimension.spelled_remedy(text, value)}")
        return partition


@lru_cache(maxsize=1024)
def _of_hive(segments: tuple[str, ...]) -> tuple[bool, ...]:
    """Returns for each placeholder whether it is in a Hive folder."""
    return tuple(is_hive(segment) for segment in segments for _ in range(segment.count(PLACEHOLDER)))


@lru_cache(maxsize=1024)
def _expression(segments: tuple[str, ...], shapes: tuple[tuple[int, str], ...]) -> re.Pattern[str]:
    """Returns the regular expression of a partition's path: a group per dimension, with as many segments as its values.

    A placeholder right before a `*` matches only the form of its values, because it would have no end otherwise.
    """
    first, *others = "/".join(segments).split(PLACEHOLDER)
    groups = []
    for (span, shape), after in zip(shapes, others, strict=True):
        text = shape if after.startswith(WILDCARD) else "/".join(["[^/]+?"] * span)
        groups.append(f"({text}){literal_or_any(after)}")
    return re.compile(literal_or_any(first) + "".join(groups), re.DOTALL)


def literal_or_any(pattern: str) -> str:
    """Returns the regular expression of a pattern without placeholders: `*` is any text within one segment."""
    return "[^/]*".join(map(re.escape, pattern.split(WILDCARD)))


class S3Dataset:
    """An external dataset: `S3Dataset("111222333444", "bucket", "folder", "{}", "day={}", dataset_format=…)`.

    Args:
        account_id: The AWS account that owns the bucket.
        bucket: The bucket's name.
        folder: The key prefix of the dataset.
        *partition_format: One path segment pattern per dimension, in order, each with one `{}`. A `*` is any text.
        dataset_format: The file format. The default is `DataFormat.PARQUET`.
        delimiter: CSV: the character between columns. The default is `,`.
        header: CSV: whether the first line names the columns.
        columns: Names and types of the columns, `{"id": "string", "amount": "decimal(10,2)"}`, with the type names of
            Athena or Glue. They apply to every engine. The default is the columns of the files.
        **options: Other options of the reader.
    """

    def __init__(
        self,
        account_id: str,
        bucket: str,
        folder: str,
        *partition_format: str,
        dataset_format: DataFormat | str = DataFormat.PARQUET,
        columns: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        where = f"S3Dataset {bucket}/{folder}"
        if not isinstance(bucket, str) or not _BUCKET.match(bucket) or ".." in bucket:
            raise DeclarationError(where, f"{bucket!r} is not a bucket name", "Use letters, digits, '.', '_' and '-'")
        parts = folder.strip("/").split("/") if isinstance(folder, str) else [""]
        if any(fault_of(part) for part in parts):
            raise DeclarationError(where, f"folder {folder!r} is not a key prefix", "Write names between '/', no '..'")
        segments: tuple[str, ...] = ()
        for pattern in partition_format:
            named = [part for part in pattern.strip("/").split("/") if part] if isinstance(pattern, str) else [""]
            if any(fault_of(part) for part in named):
                raise DeclarationError(
                    where,
                    f"partition format {pattern!r} is not a path",
                    "Write names with a '{}' per dimension, no '..'",
                )
            segments += tuple(named)
        if not isinstance(account_id, str | int):
            raise DeclarationError(where, f"the account is {account_id!r}", "Write its twelve digits as a string")
        self.account_id = str(account_id)
        self.bucket = str(bucket)
        self.folder = "/".join(parts)
        self.layout = Layout(f"s3://{bucket}/{self.folder}", segments)
        self.format = DataFormat.of(dataset_format, where)
        self.options = check_options(self.format, options, where)
        self.columns = check_columns(self.format, columns, where)

    def check_spec(self, spec: DimensionSpec, where: str) -> None:
        """Checks that there is one placeholder per dimension."""
        holes = sum(segment.count(PLACEHOLDER) for segment in self.layout.segments)
        if holes != len(spec):
            raise DeclarationError(
                where,
                f"the dataset has {holes} partition placeholders but the spec has {len(spec)} dimensions "
                f"{list(spec.names)}",
                "Give S3Dataset one '{}' per dimension, in the same order",
            )
        for dimension, after in zip(spec, "/".join(self.layout.segments).split(PLACEHOLDER)[1:], strict=True):
            if after.startswith(WILDCARD) and dimension.type is DimensionType.STRING:
                raise DeclarationError(
                    where,
                    f"the end of a value of '{dimension.name}' in '{{}}*' is not known, because it is a STRING",
                    "Write the text between them, as in '{}_*'",
                )


def check_columns(data_format: DataFormat, declared: object, where: str) -> tuple[tuple[str, str], ...]:
    """Returns the declared columns with types as Hive writes them; empty if nothing is declared.

    Raises:
        DeclarationError: A name appears twice, or a type does not exist, or the format cannot hold it.
    """
    if declared is None:
        return ()
    if not isinstance(declared, Mapping) or not declared:
        raise DeclarationError(where, f"columns are {declared!r}", 'Write columns={"id": "string", "n": "bigint"}')
    columns: dict[str, str] = {}
    for name, text in declared.items():
        if not isinstance(name, str) or not name.strip() or name != name.strip():
            raise DeclarationError(where, f"{name!r} is not a column name", 'Write columns={"id": "string"}')
        if name.lower() in {known.lower() for known in columns}:
            raise DeclarationError(
                where, f"declares the column {name!r} twice", "Remove one; upper and lower case are the same"
            )
        columns[name] = _column_type(data_format, name, text, where)
    return tuple(columns.items())


def _column_type(data_format: DataFormat, name: str, text: object, where: str) -> str:
    try:
        kind = kind_of(text if isinstance(text, str) else "")
    except ValueError as error:
        raise DeclarationError(
            where,
            f"the column {name!r} is declared {text!r}: {error}",
            "Use the types of Athena: string, int, bigint, double, decimal(10,2), boolean, date, timestamp, …",
        ) from None
    text_of_kind = spelled(kind)
    is_text = data_format in {DataFormat.CSV, DataFormat.JSON}
    if (data_format is DataFormat.CSV and not isinstance(kind, str)) or (is_text and "binary" in text_of_kind):
        raise DeclarationError(
            where, f"the column {name!r} is declared {text!r}, which {data_format} cannot hold", "Use parquet"
        )
    return text_of_kind


def check_options(data_format: DataFormat, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns reader or writer options.

    Raises:
        DeclarationError: The format does not have an option.
    """
    for name in options:
        if name not in _READER_OPTIONS and (near := difflib.get_close_matches(name, _READER_OPTIONS, n=1, cutoff=0.8)):
            raise DeclarationError(where, f"has no option {name!r}", f"Did you mean {near[0]!r}?")
    for name in ("delimiter", "header"):
        if name in options and data_format is not DataFormat.CSV:
            raise DeclarationError(
                where, f"{name}= is for csv, but the format is {data_format}", "Set dataset_format=DataFormat.CSV"
            )
    delimiter = options.get("delimiter")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1):
        raise DeclarationError(where, f"delimiter {delimiter!r} is not one character")
    for name, kind, accepted in (
        ("header", bool, "Give True or False"),
        ("compression", str, "Give a name, such as 'gzip'"),
    ):
        if options.get(name) is not None and not isinstance(options[name], kind):
            raise DeclarationError(where, f"{name} is {options[name]!r}", accepted)
    return dict(options)
