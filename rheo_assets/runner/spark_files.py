"""The data files of a partition, as Spark's file system lists them: bookkeeping is left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rheo_assets.runner.csv_columns import NOT_TEXT, first_row
from rheo_assets.runner.data_files import folder_values, is_data

_HEAD: Final = 64 * 1024  # bytes: more than most header lines
_SKIPPED: Final = ("_", ".")  # what Spark passes over itself


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file.

    Attributes:
        path: Its path.
        url: The same as Spark's `input_file_name()` has it.
        size: Its bytes.
        folders: The folders between its partition's folder and it.
    """

    path: str
    url: str
    size: int
    folders: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[tuple[str, str | None], ...]:
        """The columns that the `name=value` folders above it are."""
        return tuple(folder_values(self.folders).items())


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of an input.

    Attributes:
        path: Its path.
        name: What people call it.
        files: Its data files, sorted by their paths.
        is_plain: Whether Spark reads these very files where it is given the folder.
    """

    path: str
    name: str
    files: tuple[DataFile, ...]
    is_plain: bool


def hadoop_conf(spark: Any) -> Any:
    """Returns the Hadoop settings of the session, its own among them."""
    return spark._jsparkSession.sessionState().newHadoopConf()


class Files:
    """Lists files and looks into them. Classes are looked up once: the JVM looks for each in all of Spark's jars."""

    def __init__(self, spark: Any) -> None:
        jvm = spark.sparkContext._jvm
        self.conf = hadoop_conf(spark)
        self.path = jvm.org.apache.hadoop.fs.Path
        self._codecs = jvm.org.apache.hadoop.io.compress.CompressionCodecFactory
        self._io = jvm.org.apache.commons.io.IOUtils
        self._bounded = jvm.org.apache.commons.io.input.BoundedInputStream
        self._java = jvm.java

    def partition(self, path: str, name: str, *, keep_empty: bool) -> Partition:
        """Returns a partition with its files; those of 0 bytes only where the format has none."""
        folder = self.path(path)
        files = folder.getFileSystem(self.conf)
        root = str(files.makeQualified(folder).toString()).rstrip("/")
        found, is_plain = [], True
        for status in self._listed(files, folder):
            where = status.getPath()
            told = str(where.toString())
            relative = told[len(root) + 1 :] or told.rpartition("/")[2]
            if not is_data(relative):
                is_plain = is_plain and "/" not in relative and relative.startswith(_SKIPPED) and "=" not in relative
                continue
            size = int(status.getLen())
            is_plain = is_plain and size > 0 and "/" not in relative
            if size or keep_empty:
                url = str(where.toUri().toString())
                found.append(DataFile(told, url, size, tuple(relative.split("/")[:-1])))
        return Partition(path, name, tuple(sorted(found, key=lambda file: file.path)), is_plain)

    @staticmethod
    def _listed(files: Any, folder: Any) -> Iterator[Any]:
        found = files.listFiles(folder, True)
        while found.hasNext():
            yield found.next()

    def first_row(self, path: str, options: Mapping[str, Any]) -> list[str]:
        """Returns the fields of the first row of a csv file.

        Raises:
            ValueError: It is not UTF-8.
        """
        size = _HEAD
        while True:
            head = self._head(path, size)
            is_whole = len(head) < size
            try:
                text = _decoded(head, is_whole=is_whole)
                lines = iter(io.StringIO(text, newline=""))
                row, _ = first_row(lines, options)
            except (ValueError, csv.Error) as error:
                raise ValueError(f"{NOT_TEXT}: {error}") from None
            if is_whole or (row and next(lines, None) is not None):
                return row
            size *= 8

    def is_utf8(self, path: str) -> bool:
        """Returns whether all of a file is text in UTF-8."""
        utf8 = self._java.nio.charset.StandardCharsets.UTF_8
        stream = self._opened(path)
        try:
            content = self._io.toString(stream, utf8)
        finally:
            stream.close()
        stream = self._opened(path)
        try:
            return bool(self._io.contentEquals(stream, self._io.toInputStream(content, utf8)))
        finally:
            stream.close()

    def text(self, path: str) -> str:
        """Returns the content of a small file."""
        stream = self._opened(path)
        try:
            return str(self._io.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def exists(self, path: str) -> bool:
        """Returns whether there is a file."""
        where = self.path(path)
        return bool(where.getFileSystem(self.conf).exists(where))

    def _head(self, path: str, size: int) -> bytes:
        stream = self._opened(path)
        try:
            return bytes(self._io.toByteArray(self._bounded(stream, size)))
        except Exception as error:
            raise ValueError(f"{NOT_TEXT}: {str(error).splitlines()[0]}") from None
        finally:
            stream.close()

    def _opened(self, path: str) -> Any:
        where = self.path(path)
        stream = where.getFileSystem(self.conf).open(where)
        codec = self._codecs(self.conf).getCodec(where)
        return stream if codec is None else codec.createInputStream(stream)


def _decoded(head: bytes, *, is_whole: bool) -> str:
    if is_whole:
        return head.decode("utf-8-sig")
    import codecs

    return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
