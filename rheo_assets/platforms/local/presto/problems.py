"""DuckDB's errors in the words of the user's own query."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from rheo_assets.platforms.local.presto.parameters import Query
from rheo_assets.platforms.local.presto.paths import Store
from rheo_assets.platforms.local.presto.refusals import Refusal, listing, near_misses
from rheo_assets.runner.full_disk import says_full_disk

T = TypeVar("T")
_UNKNOWN_COLUMN = re.compile(
    r'(?:Referenced column|Values list "[^"]*" does not have a column named|Table "[^"]*" does not have a column named)'
    r' "([^"]+)"'
)
_CANDIDATES = re.compile(r"Candidate bindings: :?\s*(.*)")
_MESSAGE = re.compile(
    r"Could not convert string '((?:Division by zero|No element at |Index must be|SQL array indices).*?)' to INT32",
    re.S,
)
_FILE = re.compile(r"""['"]?((?:s3://)[^'"\s]+)['"]?""")
_ADVICE = re.compile(r"\n\s*Possible (?:fixes|solutions):.*|\n\n  file = .*", re.S)  # settings that users cannot reach
_SEEN = re.compile(r"\n\s*LINE \d+:.*", re.S)


class DiskFull(Exception):  # noqa: N818
    """There is no room for the result, or for what the query puts aside while it runs."""


class OutOfMemory(Exception):  # noqa: N818
    """The query needs more memory than the engine may take."""


def explain(
    action: Callable[[], T],
    *,
    store: Store,
    query: Query | None = None,
    sql: str = "",
    columns: Sequence[str] = (),
) -> T:
    """Runs the action; an error of DuckDB becomes a refusal in the user's words.

    Raises:
        Refusal: The user's SQL or data is at fault.
        OutOfMemory: The machine is.
        DiskFull: The disk is.
    """
    import duckdb

    try:
        return action()
    except duckdb.InterruptException:
        raise
    except duckdb.OutOfMemoryException as error:
        kind = DiskFull if "max_temp_directory_size" in str(error) else OutOfMemory
        raise kind(_ADVICE.sub("", store.in_uris(str(error)))) from None
    except duckdb.Error as error:
        if says_full_disk(error):
            raise DiskFull(store.in_uris(str(error))) from None
        text = store.in_uris(str(error))
        short = _ADVICE.sub("", text)
        detail = f"{short}\n\n{sql}" if sql else short
        raise Refusal(_reason(text, query, columns), detail) from None


def _reason(text: str, query: Query | None, columns: Sequence[str]) -> str:
    short = _SEEN.sub("", text).strip()
    if hit := _UNKNOWN_COLUMN.search(text):
        return _unknown_column(hit.group(1), text, query, columns)
    if hit := _MESSAGE.search(text):
        return f"the query fails: {hit.group(1)}"
    if "MALFORMED" in text.upper() and "JSON" in text and not _FILE.search(text):
        return f"the query reads text that is not JSON: {short}"
    if (hit := _FILE.search(text)) and "Permission" not in text:
        short = _ADVICE.sub("", short).replace("\n", "; ").rstrip(". ")
        return f"the file {hit.group(1).rstrip('.,')} cannot be read and may be damaged: {short}. Write it again"
    return _translated(short)


_FOREIGN = re.compile(r"^(Binder|Parser|Catalog|Not implemented|INTERNAL|Syntax|Mismatch Type|Invalid Type)\b.*", re.S)
_OURS = re.compile(
    r"athena: (.*?)(?:['\"] to (?:U?INT|BOOL|DOUBLE|FLOAT|DECIMAL|HUGEINT)|['\"] into |, expected|\n|$)", re.S
)
_UDF = re.compile(r"(?:ValueError|OverflowError): (.*?)(?:\n\s*\n|\n?\s*At:|$)", re.S)
_OVERFLOW = re.compile(r"out of range|overflow|Could not cast value|outside the range|exceeds", re.I)


def _translated(text: str) -> str:
    """Returns an error of DuckDB in the words of Trino, as far as it has any."""
    if hit := _OURS.search(text):
        return f"the query fails: {hit[1].strip()}"
    if hit := _UDF.search(text):
        return f"the query fails: {hit[1].strip()}"
    if "Unknown TimeZone" in text:
        return f"the query fails: there is no time zone {_quoted(text)}"
    if _FOREIGN.match(text):
        return (
            "a part of the query is not available in the local Athena: write it in simpler steps, or run it on Athena"
        )
    if "DECIMAL" in text or _OVERFLOW.search(text):
        return f"the query fails: a number is out of the range of its type {_quoted(text)}".rstrip()
    if hit := re.search(r"[Cc]ould not convert string ['\"](.*?)['\"] to (\w+)", text, re.S):
        return f"the query fails: cannot cast '{hit[1]}' to {_TYPES.get(hit[2], hit[2].lower())}"
    if hit := re.match(r"Conversion Error: (?:invalid|date|time\w*) (\w+).*?\"(.*?)\"", text, re.S):
        return f"the query fails: cannot cast '{hit[2]}' to a date or time"
    _, _, reason = text.partition("Error: ")
    return f"the query fails: {reason or text}"


_TYPES = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint", "BOOL": "boolean"}


def _quoted(text: str) -> str:
    hit = re.search(r"'([^']*)'", text)
    return f"'{hit[1]}'" if hit else ""


def _unknown_column(name: str, text: str, query: Query | None, columns: Sequence[str]) -> str:
    hit = _CANDIDATES.search(text)
    bindings = re.findall(r'"([^"]+)"', hit.group(1)) if hit else []
    known = list(dict.fromkeys([*columns, *(binding.rpartition(".")[2] for binding in bindings)]))
    where = ""
    if query is not None:
        found = re.search(rf"\b{re.escape(name)}\b", query.text)
        where = f" at {query.place(found.start())}" if found else ""
    return f"there is no column {name!r}{where} (the columns are: {listing(known)}).{near_misses(name, known)}"
