r"""DuckDB macros of texts, bytes, addresses and JSON."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from rheo_assets.platforms.local.presto.functions.macros import CASTS, COLLECTIONS, NUMBERS, PREFIX, TIMES, _fails

_BLANKS = "chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' ' || chr(8232) || chr(8233) || chr(12288)"

_NOT_BOUND: Final = frozenset({"nonzero", "same", "map_agg", "multimap_agg"})
TEXTS: Final = (
    (
        f"blanks() AS ({_BLANKS} || chr(28) || chr(29) || chr(30) || chr(31) || chr(5760) || chr(8192) || chr(8193) || "
        "chr(8194) || chr(8195) || chr(8196) || chr(8197) || chr(8198) || chr(8200) || chr(8201) || chr(8202) || chr(8287))"
    ),
    "reverse(s) AS array_to_string(list_reverse(string_split(s, '')), '')",
    "reverse_hex(h) AS array_to_string(list_reverse(regexp_extract_all(h, '..')), '')",
    "substr(s, i) AS CASE WHEN i = 0 OR -i > length(s) THEN '' ELSE substr(s, i) END",
    "substr_of(s, i, n) AS CASE WHEN i = 0 OR -i > length(s) OR n <= 0 THEN '' ELSE substr(s, i, n) END",
    (
        "subbytes(b, i, n) AS unhex(CASE WHEN i = 0 OR -i > octet_length(b) OR n <= 0 THEN '' "
        "ELSE substr(hex(b), CASE WHEN i > 0 THEN 2 * i - 1 ELSE 2 * i END, 2 * n) END)"
    ),
    (
        "replace(s, a, b) AS CASE WHEN a = '' THEN b || array_to_string(list_transform(string_split(s, ''), "
        "lambda c: c || b), '') ELSE replace(s, a, b) END"
    ),
    f"""split(s, d) AS CASE WHEN d = '' THEN {_fails("'The delimiter may not be the empty string'", "d", "[s]")}
        ELSE string_split(s, d) END""",
    f"""split_limit(s, d, n) AS CASE WHEN n <= 0 THEN {_fails("'Limit must be positive'", "n", "[s]")}
        WHEN d = '' THEN {_fails("'The delimiter may not be the empty string'", "d", "[s]")}
        WHEN len(string_split(s, d)) <= n THEN string_split(s, d) ELSE list_append(string_split(s, d)[1 : n - 1],
        array_to_string(string_split(s, d)[n :], d)) END""",
    f"""split_part(s, d, i) AS CASE WHEN i < 1 THEN {_fails("'Index must be greater than zero'", "i", "s")}
        WHEN d = '' THEN CASE WHEN i <= length(s) THEN substr(s, i, 1) END
        WHEN i <= len(string_split(s, d)) THEN split_part(s, d, i) END""",
    (
        "strpos(s, t, n) AS CASE WHEN t = '' THEN 1 WHEN n > 0 AND len(string_split(s, t)) > n "
        "THEN length(array_to_string(string_split(s, t)[1 : n], t)) + 1 "
        "WHEN n < 0 AND len(string_split(s, t)) > -n THEN "
        "length(array_to_string(string_split(s, t)[1 : len(string_split(s, t)) + n], t)) + 1 ELSE 0 END"
    ),
    *(
        f"""{side}pad(s, n, p) AS CASE WHEN p = '' THEN {_fails("'Padding string must not be empty'", "p", "s")}
        WHEN n < 0 OR n > 2147483647 THEN {_fails("'Target length must be in the range [0..2147483647]'", "n", "s")}
        ELSE {side}pad(s, CAST(n AS INTEGER), p) END"""
        for side in ("l", "r")
    ),
    f"""chr(n) AS CASE WHEN n NOT BETWEEN 0 AND 1114111 THEN {_fails("'Not a valid Unicode code point: ' || n", "n", "''")}
        ELSE chr(CAST(n AS INTEGER)) END""",
    # addresses
    "url_encode(s) AS replace(replace(replace(url_encode(s), '%20', '+'), '~', '%7E'), '%2A', '*')",
    "url_decode(s) AS url_decode(replace(s, '+', ' '))",
    (r"url_valid(u) AS NOT regexp_matches(u, '[\s<>" "{}|\\^`]|%(?:[^0-9a-fA-F]|.[^0-9a-fA-F]|.?$)')"),
    r"""url_part(u, w) AS CASE WHEN NOT athena_url_valid(u) THEN NULL
        WHEN w = 'url_extract_protocol' THEN regexp_extract(u, '^([A-Za-z][A-Za-z0-9+.\-]*):', 1)
        WHEN w = 'url_extract_host' THEN regexp_extract(u, '^[^:/?#]+://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1)
        WHEN w = 'url_extract_port' THEN nullif(regexp_extract(u, '^[^:/?#]+://[^/?#]*:(\d+)(?:[/?#]|$)', 1), '')
        WHEN w = 'url_extract_path' THEN CASE WHEN regexp_matches(u, '^[A-Za-z][A-Za-z0-9+.\-]*:[^/]') THEN ''
            ELSE url_decode(regexp_extract(u, '^(?:[^:/?#]+:)?(?://[^/?#]*)?([^?#]*)', 1)) END
        WHEN w = 'url_extract_query' THEN url_decode(regexp_extract(u, '^[^?#]*\?([^#]*)', 1))
        ELSE url_decode(regexp_extract(u, '#(.*)$', 1)) END""",
    r"""url_parameter(u, n) AS CASE WHEN athena_url_valid(u)
        AND regexp_matches(regexp_extract(u, '^[^?#]*\?([^#]*)', 1), '(?:^|&)' || regexp_escape(n) || '(?:=|&|$)')
        THEN url_decode(replace(regexp_extract(regexp_extract(u, '^[^?#]*\?([^#]*)', 1),
            '(?:^|&)' || regexp_escape(n) || '(?:=([^&]*)|&|$)', 1), '+', ' ')) END""",
    # JSON
    """json_valid(j) AS CASE WHEN json_valid(j) THEN j END""",
    """json_path(j, p) AS CASE WHEN json_valid(j) THEN json_extract(j, p) END""",
    """json_path_scalar(j, p) AS CASE WHEN json_valid(j) AND json_type(j, p) NOT IN ('OBJECT', 'ARRAY', 'NULL')
        THEN json_extract_string(j, p) END""",
    """json_path_size(j, p) AS CASE WHEN json_valid(j) THEN CASE json_type(j, p)
        WHEN 'ARRAY' THEN CAST(json_array_length(j, p) AS BIGINT) WHEN 'OBJECT' THEN CAST(len(json_keys(j, p)) AS BIGINT)
        ELSE CASE WHEN json_type(j, p) IS NOT NULL THEN 0 END END END""",
    """json_array_length(j) AS CASE WHEN json_valid(j) AND json_type(j) = 'ARRAY' THEN json_array_length(j) END""",
    f"""is_json_scalar(j) AS CASE WHEN json_valid(j) THEN json_type(j) NOT IN ('OBJECT', 'ARRAY') WHEN j IS NOT NULL THEN
        {_fails("'Invalid JSON value'", "j", "true")} END""",
    f"""json_text(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL
        WHEN 'DOUBLE' THEN athena_double_text(CAST(CAST(j AS DOUBLE) AS VARCHAR)) WHEN 'OBJECT' THEN
        {_fails("'Cannot cast a JSON object to varchar'", "j", "''")} WHEN 'ARRAY' THEN
        {_fails("'Cannot cast a JSON array to varchar'", "j", "''")} ELSE json_extract_string(j, '$') END""",
    """json_boolean(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL WHEN 'BOOLEAN' THEN CAST(j AS VARCHAR)
        WHEN 'VARCHAR' THEN athena_text_boolean(json_extract_string(j, '$'))
        WHEN 'OBJECT' THEN 'athena: Cannot cast JSON to boolean' WHEN 'ARRAY' THEN 'athena: Cannot cast JSON to boolean'
        ELSE CASE CAST(CAST(j AS VARCHAR) AS DOUBLE) <> 0 WHEN true THEN 'true' WHEN false THEN 'false' END END""",
    """json_integer(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL
        WHEN 'BOOLEAN' THEN CASE CAST(j AS VARCHAR) WHEN 'true' THEN '1' ELSE '0' END
        WHEN 'VARCHAR' THEN athena_text_integer(json_extract_string(j, '$'))
        WHEN 'DOUBLE' THEN CAST(CAST(round(CAST(CAST(j AS VARCHAR) AS DOUBLE)) AS HUGEINT) AS VARCHAR)
        WHEN 'OBJECT' THEN 'athena: Cannot cast JSON to a number' WHEN 'ARRAY' THEN 'athena: Cannot cast JSON to a number'
        ELSE CAST(j AS VARCHAR) END""",
    *(
        f"""json_{name}(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL
        WHEN 'BOOLEAN' THEN CASE CAST(j AS VARCHAR) WHEN 'true' THEN '1' ELSE '0' END
        WHEN 'VARCHAR' THEN athena_text_{name}(json_extract_string(j, '$'))
        WHEN 'OBJECT' THEN 'athena: Cannot cast JSON to a number' WHEN 'ARRAY' THEN 'athena: Cannot cast JSON to a number'
        ELSE CAST(j AS VARCHAR) END"""
        for name in ("double", "decimal")
    ),
    f"""json_list(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL WHEN 'ARRAY' THEN
        list_transform(CAST(j AS JSON[]), lambda e: coalesce(e, CAST('null' AS JSON)))
        ELSE {_fails("'Cannot cast JSON to array: expected a JSON array'", "j", "CAST(j AS JSON[])")} END""",
    f"""json_entries(j) AS CASE json_type(j) WHEN 'NULL' THEN NULL WHEN 'OBJECT' THEN
        list_transform(json_keys(j), lambda k: {{'key': k, 'value': CAST(j AS JSON) -> ('$."' || k || '"')}})
        ELSE {_fails("'Cannot cast JSON to map: expected a JSON object'", "j", "[{'key': '', 'value': CAST(j AS JSON)}]")}
        END""",
    """json_member(j, n, i) AS CASE json_type(j) WHEN 'ARRAY' THEN CAST(j AS JSON) -> CAST('$[' || i || ']' AS VARCHAR)
        WHEN 'OBJECT' THEN CAST(j AS JSON) -> ('$."' || list_filter(json_keys(j), lambda k: lower(k) = n)[1] || '"') END""",
    f"""json_rows(j) AS CASE json_type(j) WHEN 'NULL' THEN false WHEN 'ARRAY' THEN true WHEN 'OBJECT' THEN true ELSE
        {_fails("'Cannot cast JSON to row: expected an array or object'", "j", "true")} END""",
    "json_number(x) AS to_json(x)",
)


@cache
def macros() -> dict[str, str]:
    """Returns the macros by their names; those that others use come first."""
    every = (*NUMBERS, *CASTS, *TIMES, *COLLECTIONS, *TEXTS)
    waiting = {PREFIX + macro.partition("(")[0]: f"{PREFIX}{_bound(macro)}" for macro in every}
    found: dict[str, str] = {}
    while waiting:
        ready = [name for name, text in waiting.items() if not (used(text) - {name}) & set(waiting)]
        found.update((name, waiting.pop(name)) for name in ready)
    return found


def _bound(macro: str) -> str:
    """Returns a macro that computes each argument once, however often it names it: DuckDB copies arguments into macros."""
    head, _, body = macro.partition(" AS ")
    name, _, given = head.partition("(")
    params = [param.strip() for param in given.rstrip(")").split(",") if param.strip()]
    counts = [len(re.findall(rf"(?<![\w.'\"]){param}(?![\w'\"])", body)) for param in params]
    if max(counts, default=0) < 3 or name in _NOT_BOUND:
        return macro
    for param in params:
        pieces = re.split(r"('(?:[^']|'')*')", body)
        pieces[::2] = [re.sub(rf"(?<![\w.]){param}(?!\w)", f"a_{name}.{param}_", piece) for piece in pieces[::2]]
        body = "".join(pieces)
    packed = ", ".join(f"{param}_ := {param}" for param in params)
    return f"{head} AS list_transform([struct_pack({packed})], lambda a_{name}: {body})[1]"


def used(text: str) -> set[str]:
    """Returns the names of our functions that a SQL text calls."""
    return set(re.findall(r"\bathena_\w+(?=\()", text))


def definitions() -> str:
    """Returns the statements that define the macros."""
    return ";\n".join(f"CREATE MACRO {macro}" for macro in macros().values())
