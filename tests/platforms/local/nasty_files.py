"""Files that systems read differently, and what every reader here makes of them."""

from __future__ import annotations

import datetime as dt
import gzip
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = tuple[Any, ...]


@dataclass
class Case:
    """Files by their paths below the dataset, and what comes of them.

    Attributes:
        files: Bytes or text; a query makes a parquet file.
        rows: What each reader returns of `select`, in any order; None where each refuses.
        words: What the refusal or the warnings say.
    """

    form: str
    files: dict[str, bytes | str]
    select: str
    rows: list[Row] | None = None
    words: tuple[str, ...] = ()
    columns: dict[str, str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    days: tuple[str, ...] = ("1",)


def without_values() -> bytes:
    """Returns a parquet file as pandas writes a column in which every value is missing."""
    import pyarrow as pa
    from pyarrow import parquet

    content = pa.BufferOutputStream()
    parquet.write_table(pa.table({"k": [2], "v": pa.nulls(1)}), content)
    return content.getvalue().to_pybytes()


def q(*selects: str) -> str:
    return " union all ".join(f"select {select}" for select in selects)


D = Decimal
CASES = {
    # The schema of a partition is that of all its files.
    "whole numbers and fractions in two parquet files": Case(
        "parquet", {"1/a": q("1::bigint v"), "1/b": q("2.7::double v")}, "v", [(1.0,), (2.7,)]
    ),
    "a whole number that a double would round": Case(
        "parquet",
        {"1/a": q("9007199254740993::bigint v"), "1/b": q("2.7::double v")},
        "v",
        None,
        ("'v'", "9007199254740993"),
    ),
    "integers of two widths": Case(
        "parquet",
        {"1/a": q("1::integer n"), "2/a": q("5000000000::bigint n")},
        "n",
        [(1,), (5000000000,)],
        days=("1", "2"),
    ),
    "decimals of two sizes and a whole number": Case(
        "parquet",
        {"1/a": q("1.5::decimal(4,1) v"), "1/b": q("2.25::decimal(10,2) v"), "2/a": q("7::integer v")},
        "v",
        [(D("1.50"),), (D("2.25"),), (D("7.00"),)],
        days=("1", "2"),
    ),
    "a date and a timestamp": Case(
        "parquet",
        {"1/a": q("date '2024-01-01' v"), "1/b": q("timestamp '2024-01-02 03:04:05' v")},
        "v",
        [(dt.datetime(2024, 1, 1),), (dt.datetime(2024, 1, 2, 3, 4, 5),)],
    ),
    "a decimal and a double": Case(
        "parquet", {"1/a": q("1.5::decimal(4,1) v"), "1/b": q("2.5::double v")}, "v", None, ("'v'", "1/a", "1/b")
    ),
    "text and a number in two files": Case(
        "parquet", {"1/a": q("'x' v"), "1/b": q("2 v")}, "v", None, ("'v'", "1/a", "1/b")
    ),
    "a column that one file has": Case(
        "parquet", {"1/a": q("1 a"), "1/b": q("2 a, 'x' b")}, "a, b", [(1, None), (2, "x")]
    ),
    "columns in another order": Case(
        "parquet", {"1/a": q("1 a, 'x' b"), "2/a": q("'y' b, 2 a")}, "a, b", [(1, "x"), (2, "y")], days=("1", "2")
    ),
    "names that differ in case": Case(
        "parquet", {"1/a": q("1 id, 2 v"), "2/a": q("3 ID, 4 V")}, "id, v", [(1, 2), (3, 4)], days=("1", "2")
    ),
    "a field that one file has": Case(
        "parquet",
        {"1/a": q("{'x': 1} s"), "1/b": q("{'y': 'b', 'x': 2} s")},
        "s.x as x, s.y as y",
        [(1, None), (2, "b")],
    ),
    "fields in another order in a list": Case(
        "parquet",
        {"1/a": q("[{'x': 1, 'y': 2}] s"), "1/b": q("[{'y': 4, 'x': 3}] s")},
        "s[{first}].x as x",
        [(1,), (3,)],
    ),
    "nanoseconds": Case(
        "parquet",
        {"1/a": q("timestamp_ns '1969-12-31 23:59:59.123456789' a, 1 b")},
        "b, cast(a as varchar(23)) as a",
        [(1, "1969-12-31 23:59:59.123")],
    ),
    # Text that is no text.
    "gzip without its suffix": Case("csv", {"1/a.csv": gzip.compress(b"id,v\n1,2\n")}, "*", None, ("1/a.csv", "UTF-8")),
    "latin-1 in a later row": Case("csv", {"1/a.csv": b"v\nx\n\xe9t\xe9\n"}, "*", None, ("1/a.csv",)),
    "latin-1 in json": Case("json", {"1/a.json": b'{"v": "x"}\n{"v": "\xe9t"}\n'}, "*", None, ("1/a.json",)),
    "a replacement character that is one": Case("csv", {"1/a.csv": "v\n\ufffd\n"}, "v", [("\ufffd",)]),
    "gzip with its suffix": Case("csv", {"1/a.csv.gz": gzip.compress(b"id\n7\n")}, "id", [(7,)]),
    # Declared columns.
    "declared columns of a csv without header": Case(
        "csv",
        {"1/a": "0007,00501,1.10\n"},
        "id, zip, amount",
        [("0007", "00501", D("1.10"))],
        columns={"id": "string", "zip": "varchar", "amount": "decimal(10,2)"},
        options={"header": False},
    ),
    "declared columns by the header": Case(
        "csv",
        {"1/a": "V,id\n1.5,007\n", "1/b": "ID,v\n8,\n"},
        "id, v",
        [("007", 1.5), ("8", None)],
        columns={"id": "string", "v": "double"},
    ),
    "a value that is none of its declared type": Case(
        "csv",
        {"1/a": "id,v\n1,5\n", "1/b": "id,v\n1,2\n3,x\n"},
        "*",
        None,
        ("1/b", "'v'", "row 2", "'x'"),
        columns={"id": "int", "v": "bigint"},
    ),
    "a decimal with more digits than declared": Case(
        "csv", {"1/a": "v\n1.105\n"}, "*", None, ("1/a", "'v'", "row 1", "1.105"), columns={"v": "decimal(10,2)"}
    ),
    "a whole number where a fraction is": Case(
        "csv", {"1/a": "v\n1.5\n"}, "*", None, ("1/a", "'v'"), columns={"v": "int"}
    ),
    "a header that lacks a declared column": Case(
        "csv", {"1/a": "id,w\n1,2\n"}, "*", None, ("1/a", "'v'"), columns={"id": "int", "v": "int"}
    ),
    "fewer fields than declared": Case(
        "csv",
        {"1/a": "1,2\n"},
        "*",
        None,
        ("1/a", "2 columns", "3 are declared"),
        columns={"a": "int", "b": "int", "c": "int"},
        options={"header": False},
    ),
    "every declared type of a csv": Case(
        "csv",
        {"1/a": "t,i,b,d,m,s,day,moment\nTRUE,-5,99999999999,1e3,-0.50,,2024-02-29,2024-02-29 10:00:00.5\n"},
        "t, i, b, d, m, s, day, moment",
        [
            (
                True,
                -5,
                99999999999,
                1000.0,
                D("-0.5"),
                None,
                dt.date(2024, 2, 29),
                dt.datetime(2024, 2, 29, 10, 0, 0, 500000),
            )
        ],
        columns={
            "t": "boolean",
            "i": "integer",
            "b": "bigint",
            "d": "double",
            "m": "decimal(5,2)",
            "s": "string",
            "day": "date",
            "moment": "timestamp",
        },
    ),
    "declared columns of json": Case(
        "json",
        {"1/a": '{"id": "007", "ZIP": 501, "amount": 1.10, "more": 1}\n', "1/b": '{"id": "8"}\n'},
        "id, zip, amount",
        [("007", "501", D("1.10")), ("8", None, None)],
        columns={"id": "string", "zip": "string", "amount": "decimal(10,2)"},
    ),
    "a json value that is none of its declared type": Case(
        "json",
        {"1/a": '{"v": 1}\n', "1/b": '{"v": 2}\n{"v": "x"}\n'},
        "*",
        None,
        ("1/b", "'v'", "row 2"),
        columns={"v": "bigint"},
    ),
    "declared lists and objects of json": Case(
        "json",
        {"1/a": '{"s": {"b": 2, "a": 1}}\n', "1/b": '{"s": null}\n'},
        "s.a as a, s.b as b",
        [(1, 2), (None, None)],
        columns={"s": "struct<a:bigint,b:bigint>"},
    ),
    "parquet that is as declared": Case(
        "parquet",
        {"1/a": q("1::integer ID, 'x' v"), "1/b": q("2::bigint id")},
        "id, v",
        [(1, "x"), (2, None)],
        columns={"id": "bigint", "v": "string"},
    ),
    "parquet that is not as declared": Case(
        "parquet", {"1/a": q("1 v"), "1/b": q("'x' v")}, "*", None, ("1/b", "'v'"), columns={"v": "bigint"}
    ),
    # Names.
    "csv headers that differ in case": Case(
        "csv", {"1/a": "id,v\n1,2\n", "2/a": "ID,V\n3,4\n"}, "id, v", [(1, 2), (3, 4)], days=("1", "2")
    ),
    "csv columns in another order": Case(
        "csv",
        {"1/a": "id,v\n1,x\n", "1/b": "v,id\ny,2\n", "2/a": "v,id\nz,3\n"},
        "id, v",
        [(1, "x"), (2, "y"), (3, "z")],
        days=("1", "2"),
    ),
    "json keys that differ in case between days": Case(
        "json", {"1/a": '{"id": 1}\n', "2/a": '{"ID": 2}\n'}, "id", [(1,), (2,)], days=("1", "2")
    ),
    "json keys that differ in case within a day": Case(
        "json", {"1/a": '{"id": 1}\n{"ID": 2}\n'}, "*", None, ("'id'", "'ID'", "case")
    ),
    "a csv header with a name twice": Case("csv", {"1/a": "id,Id\n1,2\n"}, "*", None, ("1/a", "twice")),
    # Types that are told from values.
    "an object that is empty on one day": Case(
        "json",
        {"1/a": '{"k": 1, "a": {}}\n', "2/a": '{"k": 2, "a": {"b": 1}}\n'},
        "k, a.b as b",
        [(1, None), (2, 1)],
        days=("1", "2"),
    ),
    "an object and a number": Case(
        "json", {"1/a": '{"a": 1}\n', "2/a": '{"a": {"b": 1}}\n'}, "*", None, ("'a'", "1", "2"), days=("1", "2")
    ),
    "dates and times of a csv": Case(
        "csv",
        {"1/a": "v\n2024-01-01\n", "2/a": "v\n2024-01-01 10:00:00\n"},
        "v",
        [(dt.datetime(2024, 1, 1),), (dt.datetime(2024, 1, 1, 10),)],
        days=("1", "2"),
    ),
    "whole numbers that no bigint holds": Case(
        "csv", {"1/a": "v\n12345678901234567890\n1\n"}, "v", [(D(12345678901234567890),), (D(1),)]
    ),
    "a csv column that is text in one file": Case("csv", {"1/a": "v\n1\n", "1/b": "v\nx\n"}, "v", [("1",), ("x",)]),
    "a csv column without values on one day": Case(
        "csv", {"1/a": "k,v\n1,\n", "2/a": "k,v\n2,7\n"}, "k, v", [(1, None), (2, 7)], days=("1", "2")
    ),
    # Files that are none of the data, and folders.
    "bookkeeping among the data": Case(
        "csv",
        {
            "1/a": "v\n1\n",
            "1/_started": "x",
            "1/b.tmp": "v\n2\n",
            "1/c._COPYING_": "v\n3\n",
            "1/d_$folder$": "",
            "1/_temporary/0/a": "v\n4\n",
            "1/.x/a": "v\n5\n",
            "1/.a.crc": "x",
        },
        "v",
        [(1,)],
    ),
    "an empty file among others of a range": Case(
        "csv", {"1/a": "v\n1\n", "2/a": "", "2/b": "v\n2\n"}, "v", [(1,), (2,)], days=("1", "2")
    ),
    "an empty file is all of one day": Case("csv", {"1/a": "v\n1\n", "2/a": ""}, "v", [(1,)], days=("1", "2")),
    "an empty json file among others": Case("json", {"1/a": '{"v": 1}\n', "2/a": ""}, "v", [(1,)], days=("1", "2")),
    "a header and no rows": Case("csv", {"1/a": "v\n", "1/b": "v\n3\n"}, "v", [(3,)]),
    "folders below a partition": Case(
        "csv",
        {"1/k=007/a": "v\n1\n", "1/k=a%3Ab/a": "v\n2\n", "1/k=__HIVE_DEFAULT_PARTITION__/a": "v\n3\n"},
        "v, k",
        [(1, "007"), (2, "a:b"), (3, None)],
    ),
    "a folder with a column's name": Case("parquet", {"1/v=9/a": q("1 v")}, "v", [(1,)]),
    "files beside folders": Case("parquet", {"1/a": q("1 v"), "1/k=9/a": q("2 v")}, "*", None, ("name=value", "'k'")),
    "folders that are no columns": Case("json", {"1/a": '{"v": 1}\n', "1/sub/a": '{"v": 2}\n'}, "v", [(1,), (2,)]),
    "rows of several lengths": Case("csv", {"1/a": "a,b\n1,2\n3\n"}, "*", None, ("1/a",)),
    "empty lines before the header": Case("csv", {"1/a": "\n\nid,v\n1,2\n\n"}, "id, v", [(1, 2)]),
    "a csv that is cut short within quotes": Case("csv", {"1/a": 'id,v\n1,"2\n3,4\n'}, "*", None, ("1/a",)),
    "a quote within a value": Case("csv", {"1/a": 'id,v\n1,5" pipe\n'}, "id, v", [(1, '5" pipe')]),
    "a gzip file that is cut short": Case(
        "csv", {"1/a.csv.gz": gzip.compress(b"v\n" + b"12345\n" * 9000)[:-20]}, "*", None, ("1/a.csv.gz",)
    ),
    "a zip archive": Case("csv", {"1/a.zip": b"PK\x03\x04v\n1\n"}, "*", None, ("1/a.zip", "zip")),
    "json with something behind an object": Case("json", {"1/a": '{"v": 1} x\n'}, "*", None, ("1/a",)),
    "json with two objects on a line": Case(
        "json", {"1/a": '{"v": "}{"}\n{"v": "b"}{"v": "c"}\n'}, "*", None, ("1/a",)
    ),
    "json in single quotes": Case("json", {"1/a": "{'v': 1}\n"}, "*", None, ("1/a",)),
    "json with a value a line": Case("json", {"1/a": "1\n2\n"}, "*", None, ("object",)),
    "braces within json texts": Case("json", {"1/a": '{"v": "} {", "w": "}x\\"}y"}\n'}, "v, w", [("} {", '}x"}y')]),
    "a field without values on one day": Case(
        "json",
        {"1/a": '{"v": {"a": null}, "w": 1}\n', "2/a": '{"v": {"a": 5}, "w": 2}\n'},
        "w, v.a as a",
        [(1, None), (2, 5)],
        days=("1", "2"),
    ),
    "an object that never has a key": Case("json", {"1/a": '{"k": 1, "v": {}}\n'}, "*", [(1,)]),
    "a column without values of pandas": Case(
        "parquet", {"1/a": q("1 k, 'x' v"), "1/b": without_values()}, "k, v", [(1, "x"), (2, None)]
    ),
    "maps of two widths": Case(
        "parquet",
        {"1/a": q("map {'a': 1::integer} v"), "1/b": q("map {'b': 2::bigint} v")},
        "v",
        [({"a": 1},), ({"b": 2},)],
    ),
}

STRANGE = [
    "a?", "a*", "a[b]", "[ab]", "a]", "{a,b}", "a{b", "100%", "%41", "a#b", "a b", "a'b", 'a"b', "é", "e\u0301",
    "日本", "**", "[!a]", "~", "$a", "a;b", "a=b", "&", "a+b", "a:b", "[", "]", "^", "|", "<>", "a,b", "!", "@", "`",
]  # fmt: skip
