r"""DuckDB macros that answer as Trino documents where DuckDB's own functions answer otherwise.

None is overloaded on types: DuckDB converts the arguments to choose one. What depends on the type asks `typeof`, in
branches that all have one type. A failure is a cast of its message: `error()` is volatile, which TRY refuses.
"""

from __future__ import annotations

PREFIX = "athena_"

MACROS: tuple[str, ...] = (
    # numbers
    """nonzero(y) AS CASE WHEN y = 0 THEN
        CASE WHEN CAST('Division by zero' || left(CAST(y AS VARCHAR), 0) AS INTEGER) = 0 THEN y END ELSE y END""",
    """truncate(x) AS trunc(x), (x, n) AS cast_to_type(trunc(x * power(10, n)) / power(10, n), x)""",
    r"""integer_text(x) AS CASE
        WHEN typeof(x) = 'VARCHAR' AND NOT regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?\d+\s*')
            THEN 'not an integer: ' || CAST(x AS VARCHAR)
        WHEN typeof(x) = 'BOOLEAN' THEN CASE CAST(x AS VARCHAR) WHEN 'true' THEN '1' WHEN 'false' THEN '0' END
        WHEN typeof(x) IN ('DOUBLE', 'FLOAT')
            THEN CAST(CAST(round(TRY_CAST(CAST(x AS VARCHAR) AS DOUBLE)) AS HUGEINT) AS VARCHAR)
        WHEN typeof(x) = 'JSON' THEN trim(CAST(x AS VARCHAR), '"')
        ELSE CAST(x AS VARCHAR) END""",
    # text
    """varchar(x) AS CASE typeof(x)
        WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g')
        WHEN 'TIMESTAMP WITH TIME ZONE' THEN
            strftime(TRY_CAST(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMPTZ) AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%g UTC')
        WHEN 'JSON' THEN TRY_CAST(CAST(x AS VARCHAR) AS JSON) ->> '$'
        ELSE CAST(x AS VARCHAR) END""",
    """substr(s, i) AS CASE WHEN i = 0 OR -i > length(s) THEN '' ELSE substr(s, i) END,
        (s, i, n) AS CASE WHEN i = 0 OR -i > length(s) OR n <= 0 THEN '' ELSE substr(s, i, n) END""",
    """replace(s, a) AS replace(s, a, ''), (s, a, b) AS replace(s, a, b)""",
    """split_part(s, d, i) AS CASE WHEN i < 1 THEN CAST(CAST('Index must be greater than zero' AS INTEGER) AS VARCHAR)
        WHEN i <= len(string_split(s, d)) THEN split_part(s, d, i) END""",
    """split_to_map(s, entry, key) AS map_from_entries(list_transform(string_split(s, entry),
        lambda e: {'key': split_part(e, key, 1), 'value': substr(e, length(split_part(e, key, 1)) + length(key) + 1)}
        ))""",
    """regexp_extract(s, p) AS CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p) END,
        (s, p, g) AS CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) END""",
    """regexp_replace(s, p) AS regexp_replace(s, p, '', 'g'), (s, p, r) AS regexp_replace(s, p, r, 'g')""",
    """regexp_count(s, p) AS len(regexp_extract_all(s, p))""",
    # addresses
    r"""url_protocol(u) AS nullif(regexp_extract(u, '^([A-Za-z][A-Za-z0-9+.\-]*):', 1), '')""",
    r"""url_host(u) AS nullif(regexp_extract(u, '^[^:/?#]+://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)', 1), '')""",
    r"""url_port(u) AS TRY_CAST(nullif(regexp_extract(u, '^[^:/?#]+://[^/?#]*:(\d+)(?:[/?#]|$)', 1), '') AS BIGINT)""",
    """url_path(u) AS url_decode(regexp_extract(u, '^(?:[^:/?#]+:)?(?://[^/?#]*)?([^?#]*)', 1))""",
    r"""url_query(u) AS regexp_extract(u, '^[^?#]*\?([^#]*)', 1)""",
    """url_fragment(u) AS url_decode(regexp_extract(u, '#(.*)$', 1))""",
    """url_parameter(u, n) AS CASE
        WHEN regexp_matches(athena_url_query(u), '(?:^|&)' || regexp_escape(n) || '(?:=|&|$)')
        THEN url_decode(replace(
            regexp_extract(athena_url_query(u), '(?:^|&)' || regexp_escape(n) || '=([^&]*)', 1), '+', ' ')) END""",
    # JSON
    """json_extract(j, p) AS CASE WHEN json_valid(j) THEN json_extract(j, p) END""",
    """json_extract_scalar(j, p) AS CASE WHEN json_valid(j) AND json_type(j, p) NOT IN ('OBJECT', 'ARRAY', 'NULL')
        THEN json_extract_string(j, p) END""",
    """json_format(j) AS CAST(json(j) AS VARCHAR)""",
    """json_parse(j) AS CAST(json(CAST(j AS JSON)) AS JSON)""",
    """json_array_length(j) AS CASE WHEN json_valid(j) AND json_type(j) = 'ARRAY'
        THEN CAST(json_array_length(j) AS BIGINT) END""",
    """json_size(j, p) AS CASE WHEN json_valid(j) THEN CASE json_type(j, p)
        WHEN 'ARRAY' THEN CAST(json_array_length(j, p) AS BIGINT)
        WHEN 'OBJECT' THEN CAST(len(json_keys(j, p)) AS BIGINT)
        ELSE CASE WHEN json_type(j, p) IS NOT NULL THEN 0 END END END""",
    """is_json_scalar(j) AS json_type(j) NOT IN ('OBJECT', 'ARRAY')""",
    # arrays and maps
    """cardinality(x) AS CASE WHEN x IS NOT NULL THEN CAST(CASE WHEN typeof(x) LIKE 'MAP(%'
        THEN len(json_keys(to_json(x))) ELSE json_array_length(to_json(x)) END AS BIGINT) END""",
    """lacks(x, k) AS CASE WHEN x IS NULL OR typeof(x) LIKE 'STRUCT(%)' THEN false
        WHEN typeof(x) LIKE 'MAP(%' THEN NOT list_contains(json_keys(to_json(x)), CAST(k AS VARCHAR))
        ELSE TRY_CAST(CAST(k AS VARCHAR) AS BIGINT) NOT BETWEEN 1 AND json_array_length(to_json(x)) END""",
    """subscript(x, k) AS CASE WHEN athena_lacks(x, k) THEN CASE WHEN CAST(
            'No element at ' || CAST(k AS VARCHAR) || ' of ' || left(CAST(x AS VARCHAR), 60) AS INTEGER
            ) = 0 THEN x[k] END ELSE x[k] END""",
    """array_distinct(l) AS list_filter(l, lambda e, i: list_position(l, e) = i)""",
    """array_union(a, b) AS athena_array_distinct(a || b)""",
    """array_intersect(a, b) AS athena_array_distinct(list_filter(a, lambda e: list_position(b, e) IS NOT NULL))""",
    """array_except(a, b) AS athena_array_distinct(list_filter(a, lambda e: list_position(b, e) IS NULL))""",
    """array_max(l) AS CASE WHEN len(list_filter(l, lambda e: e IS NULL)) = 0 THEN list_max(l) END""",
    """array_min(l) AS CASE WHEN len(list_filter(l, lambda e: e IS NULL)) = 0 THEN list_min(l) END""",
    """array_sort(l) AS list_sort(l, 'ASC', 'NULLS LAST')""",
    """array_remove(l, x) AS list_filter(l, lambda e: e IS DISTINCT FROM x)""",
    """array_position(l, x) AS CASE WHEN l IS NOT NULL AND x IS NOT NULL
        THEN CAST(coalesce(list_position(l, x), 0) AS BIGINT) END""",
    """array_join(l, d) AS array_to_string(list_transform(list_filter(l, lambda e: e IS NOT NULL),
            lambda e: athena_varchar(e)), d),
        (l, d, n) AS array_to_string(list_transform(l, lambda e: coalesce(athena_varchar(e), n)), d)""",
    """contains(l, x) AS CASE WHEN list_contains(l, x) THEN true
        WHEN x IS NULL OR len(list_filter(l, lambda e: e IS NULL)) > 0 THEN NULL ELSE list_contains(l, x) END""",
    """any_true(l) AS CASE WHEN list_contains(l, true) THEN true
        WHEN len(list_filter(l, lambda e: e IS NULL)) > 0 THEN NULL ELSE list_contains(l, true) END""",
    """all_true(l) AS CASE WHEN list_contains(l, false) THEN false
        WHEN len(list_filter(l, lambda e: e IS NULL)) > 0 THEN NULL ELSE NOT list_contains(l, false) END""",
    """repeat(x, n) AS list_transform(range(n), lambda i: x)""",
    """slice(l, i, n) AS CASE WHEN i = 0 THEN CASE WHEN CAST('SQL array indices start at 1' AS INTEGER) = 0 THEN l END
        WHEN n <= 0 THEN list_slice(l, 1, 0)
        WHEN i > 0 THEN list_slice(l, i, i + n - 1)
        WHEN -i > len(l) THEN list_slice(l, 1, 0)
        ELSE list_slice(l, len(l) + i + 1, len(l) + i + n) END""",
    """sequence(a, b) AS list_transform(range(0, abs(b - a) + 1), lambda i: a + CAST(sign(b - a) * i AS INTEGER)),
        (a, b, step) AS list_transform(generate_series(a, b, step), lambda e: cast_to_type(e, a))""",
    """map_agg(l) AS map_from_entries(list_filter(l, lambda e, i: e.key IS NOT NULL
        AND list_position(list_transform(l, lambda x: x.key), e.key) = i))""",
    # times
    """date_trunc(u, x) AS cast_to_type(date_trunc(u, x), x)""",
    """shift(x, i) AS cast_to_type(x + i, x)""",
    """millisecond(x) AS millisecond(x) % 1000""",
    """to_iso8601(x) AS CASE typeof(x) WHEN 'DATE' THEN CAST(x AS VARCHAR)
        WHEN 'TIMESTAMP' THEN strftime(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%g')
        ELSE strftime(TRY_CAST(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMPTZ) AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%gZ')
        END""",
    # bytes
    """md5(b) AS unhex(md5(b))""",
    """sha1(b) AS unhex(sha1(b))""",
    """sha256(b) AS unhex(sha256(b))""",
)


def definitions() -> str:
    """Returns the statements that define the macros."""
    return ";\n".join(f"CREATE MACRO {PREFIX}{macro}" for macro in MACROS)
