r"""DuckDB macros that answer as Trino documents where DuckDB's own functions answer otherwise.

A failure is a cast of its message: `error()` is volatile, which TRY refuses.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "athena_"
_FAIL: Final = "CAST(left({1}, 0) || 'athena: ' || {0} AS INTEGER)"


def _fails(message: str, of: str, result: str) -> str:
    """Returns the SQL that fails with a message: only where the row `of` is, since it depends on its text."""
    return f"CASE WHEN CAST(coalesce(left(CAST({of} AS VARCHAR), 0), '') || 'athena: ' || {message} AS INTEGER) = 0 THEN {result} END"


NUMBERS: Final = (
    f"nonzero(y) AS CASE WHEN y = 0 THEN {_fails(chr(39) + 'Division by zero' + chr(39), 'y', 'y')} ELSE y END",
    f"""positive(n) AS CASE WHEN n <= 0 THEN {_fails("'bound must be positive'", "n", "n")} ELSE n END""",
    f"""finite(x) AS CASE WHEN isnan(x) OR isinf(x) THEN {_fails("'Invalid argument found'", "x", "x")} ELSE x END""",
    f"""window_offset(n) AS CASE WHEN n < 0 OR n IS NULL THEN {_fails("'Offset must be at least 0'", "n", "n")} ELSE n END""",
    f"""window_place(n) AS CASE WHEN n < 1 OR n IS NULL THEN {_fails("'Offset must be at least 1'", "n", "n")} ELSE n END""",
    "not_nan(x) AS CASE WHEN isnan(x) THEN NULL ELSE x END",
    "nan_first(x) AS CASE WHEN isnan(x) THEN CAST('-Infinity' AS DOUBLE) ELSE x END",
    f"""whole(x) AS CASE WHEN isnan(x) OR isinf(x) THEN {_fails("'Cannot cast ' || x || ' to a whole number'", "x", "x")}
        ELSE round(x) END""",
    (
        "ln(x) AS CASE WHEN x > 0 THEN ln(x) WHEN x = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN x IS NOT NULL THEN "
        "CAST('NaN' AS DOUBLE) END"
    ),
    (
        "log10(x) AS CASE WHEN x > 0 THEN log10(x) WHEN x = 0 THEN CAST('-Infinity' AS DOUBLE) WHEN x IS NOT NULL THEN "
        "CAST('NaN' AS DOUBLE) END"
    ),
    "sqrt(x) AS CASE WHEN x < 0 THEN CAST('NaN' AS DOUBLE) ELSE sqrt(x) END",
    "asin(x) AS CASE WHEN abs(x) > 1 THEN CAST('NaN' AS DOUBLE) ELSE asin(x) END",
    "acos(x) AS CASE WHEN abs(x) > 1 THEN CAST('NaN' AS DOUBLE) ELSE acos(x) END",
    *(f"{f}(x) AS CASE WHEN isinf(x) THEN CAST('NaN' AS DOUBLE) ELSE {f}(x) END" for f in ("sin", "cos", "tan")),
    "power(x, y) AS pow(x, y)",
    "round_double(x, n) AS CASE WHEN isnan(x) OR isinf(x) THEN x ELSE round(x, n) END",
    """round_whole(x, n) AS CASE WHEN n >= 0 THEN CAST(x AS HUGEINT) WHEN n < -20 THEN 0
        ELSE CAST(sign(x) AS HUGEINT) * ((abs(CAST(x AS HUGEINT)) + CAST(pow(10, -n) AS HUGEINT) // 2)
        // CAST(pow(10, -n) AS HUGEINT)) * CAST(pow(10, -n) AS HUGEINT) END""",
    "bit_count_of(x) AS bit_count(x)",
    """bitwise_left_shift(x, n, b) AS CASE WHEN n >= b THEN 0 ELSE athena_bits(((CAST(x AS HUGEINT)
        & athena_mask(b)) << CAST(n AS INTEGER)) & athena_mask(b), b) END""",
    """bitwise_right_shift(x, n, b) AS CASE WHEN n >= b THEN 0 ELSE athena_bits((CASE WHEN x < 0 THEN CAST(x AS HUGEINT)
        + athena_mask(b) + 1 ELSE CAST(x AS HUGEINT) END) >> CAST(n AS INTEGER), b) END""",
    """bitwise_right_shift_arithmetic(x, n, b) AS CASE WHEN n >= b THEN CASE WHEN x < 0 THEN -1 ELSE 0 END
        ELSE CAST(floor(CAST(x AS HUGEINT) / pow(2, n)) AS HUGEINT) END""",
    "mask(b) AS (CASE b WHEN 8 THEN 255 WHEN 16 THEN 65535 WHEN 32 THEN 4294967295 ELSE 18446744073709551615 END)",
    "bits(v, b) AS CASE WHEN v > athena_mask(b) // 2 THEN v - athena_mask(b) - 1 ELSE v END",
    # decimals
    """quotient(a, b) AS CAST(CASE WHEN (a < 0) = (b < 0) THEN 1 ELSE -1 END AS HUGEINT)
        * ((abs(a) + abs(athena_nonzero(b)) // 2) // abs(athena_nonzero(b)))""",
    """scaled_text(n, s) AS CASE WHEN n < 0 THEN '-' ELSE '' END || CASE WHEN s = 0 THEN CAST(abs(n) AS VARCHAR) ELSE
        left(lpad(CAST(abs(n) AS VARCHAR), CAST(greatest(s + 1, length(CAST(abs(n) AS VARCHAR))) AS INTEGER), '0'),
        CAST(greatest(s + 1, length(CAST(abs(n) AS VARCHAR))) AS INTEGER) - s) || '.' || right(lpad(CAST(abs(n) AS VARCHAR),
        CAST(greatest(s + 1, length(CAST(abs(n) AS VARCHAR))) AS INTEGER), '0'), s) END""",
    "unscaled_text(t) AS CAST(replace(t, '.', '') AS HUGEINT)",
    (
        "decimal_text(x) AS CASE WHEN CAST(x AS VARCHAR) LIKE '.%' THEN '0' || CAST(x AS VARCHAR) "
        "WHEN CAST(x AS VARCHAR) LIKE '-.%' THEN '-0' || substr(CAST(x AS VARCHAR), 2) ELSE CAST(x AS VARCHAR) END"
    ),
    # numbers as text; DuckDB writes a real below 1e16 with digits that it does not have
    (
        "real_digits(t) AS CASE WHEN length(regexp_replace(t, '[^0-9]', '', 'g')) > 8 AND t NOT LIKE '%e%' "
        "THEN printf('%.8g', CAST(CAST(t AS FLOAT) AS DOUBLE)) ELSE t END"
    ),
    r"""double_text(t) AS CASE t WHEN 'nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'
        WHEN '0.0' THEN '0.0E0' WHEN '-0.0' THEN '-0.0E0' ELSE CASE
        WHEN t LIKE '%e%' THEN split_part(t, 'e', 1) || CASE WHEN split_part(t, 'e', 1) LIKE '%.%' THEN '' ELSE '.0' END
            || 'E' || CAST(CAST(split_part(t, 'e', 2) AS INTEGER) AS VARCHAR)
        ELSE CASE WHEN t LIKE '-%' THEN '-' ELSE '' END
            || athena_mantissa(rtrim(ltrim(replace(ltrim(t, '-'), '.', ''), '0'), '0')) || 'E'
            || CAST(CASE WHEN ltrim(t, '-') LIKE '0.%'
                THEN -length(regexp_extract(ltrim(t, '-'), '^0\.(0*)', 1)) - 1
                ELSE length(split_part(ltrim(t, '-'), '.', 1)) - 1 END AS VARCHAR) END END""",
    "is_infinite(x) AS isinf(x) AND NOT isnan(x)",
    "mantissa(d) AS left(d, 1) || '.' || CASE WHEN length(d) > 1 THEN substr(d, 2) ELSE '0' END",
)

CASTS: Final = (
    r"""text_integer(x) AS CASE WHEN regexp_full_match(x, '\s*[+-]?\d+\s*') THEN x
        ELSE 'athena: Cannot cast ''' || x || ''' to a whole number' END""",
    r"""text_double(x) AS CASE WHEN regexp_full_match(x,
        '\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*|\s*[+-]?(Infinity|NaN)\s*')
        THEN x ELSE 'athena: Cannot cast ''' || x || ''' to DOUBLE' END""",
    r"""text_decimal(x) AS CASE WHEN regexp_full_match(x, '\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*')
        THEN x ELSE 'athena: Cannot cast ''' || x || ''' to DECIMAL' END""",
    """text_boolean(x) AS CASE WHEN lower(x) IN ('t', 'true', '1') THEN 'true'
        WHEN lower(x) IN ('f', 'false', '0') THEN 'false' ELSE 'athena: Cannot cast ''' || x || ''' to BOOLEAN' END""",
    r"""text_uuid(x) AS CASE WHEN regexp_full_match(x, '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}') THEN x
        ELSE 'athena: Cannot cast value to UUID: ' || x END""",
    r"""text_date(x) AS CASE WHEN regexp_full_match(x, '\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*') THEN ltrim(trim(x), '+')
        ELSE 'athena: Value cannot be cast to date: ' || x END""",
    r"""text_time(x, p) AS CAST(athena_rounded(DATE '1970-01-01' + CAST(CASE
        WHEN regexp_full_match(x, '\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,12})?)?') THEN
            CASE WHEN regexp_full_match(x, '\d{1,2}:\d{1,2}') THEN x || ':00' ELSE x END
        ELSE 'athena: Value cannot be cast to time: ' || x END AS TIME), p) AS TIME)""",
    r"""text_timestamp(x, p) AS athena_rounded(CAST(CASE WHEN regexp_full_match(x,
        '\s*\+?-?\d{4,}-\d{1,2}-\d{1,2}( \d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,12})?)?)?\s*([A-Za-z][\w/+\-]*|[+-]\d\d?(:?\d\d)?)?\s*')
        THEN regexp_extract(x, '\s*\+?(-?\d{4,}-\d{1,2}-\d{1,2}( \d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,6})?)?)?)', 1)
        ELSE 'athena: Value cannot be cast to timestamp: ' || x END AS TIMESTAMP), p)""",
    r"""text_zone(x) AS regexp_extract(x, '^\s*[+-]?\d+-\d+-\d+(?: \d+:\d+(?::\d+(?:\.\d+)?)?)?\s*(.*?)\s*$', 1)""",
    """text_zoned(x, p) AS athena_in_zone(athena_text_timestamp(x, p),
        CASE WHEN athena_text_zone(x) = '' THEN 'UTC' ELSE athena_zone(athena_text_zone(x)) END)""",
    """fitting(t, n, k) AS CASE WHEN length(t) > n THEN CASE WHEN CAST('athena: Value ' || t || ' cannot be represented as varchar('
        || n || ')' AS INTEGER) = 0 THEN t END ELSE t END""",
    "char(x, n) AS rpad(left(x, n), n, ' ')",
    # times as text
    """rounded(x, p) AS CASE WHEN p >= 6 OR isinf(x) THEN x ELSE make_timestamp(CAST(
        (epoch_us(x) + CAST(pow(10, 6 - p) AS BIGINT) // 2) - ((((epoch_us(x) + CAST(pow(10, 6 - p) AS BIGINT) // 2)
        % CAST(pow(10, 6 - p) AS BIGINT)) + CAST(pow(10, 6 - p) AS BIGINT)) % CAST(pow(10, 6 - p) AS BIGINT)) AS BIGINT))
        END""",
    "date_text(x) AS CASE WHEN x BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN strftime(x, '%Y-%m-%d') ELSE athena_far(x) END",
    f"""far(x) AS {_fails("'a year before 1 or after 9999 is not available in the local Athena as text'", "x", "''")}""",
    "fraction(t, p) AS CASE WHEN p = 0 THEN left(t, length(t) - 7) ELSE left(t, length(t) - 6 + p) END",
    "timestamp_text(x, p) AS CASE WHEN x BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN athena_fraction(strftime(x, '%Y-%m-%d %H:%M:%S.%f'), p) ELSE athena_far(x) END",
    "time_text(x, p) AS athena_fraction(strftime(DATE '1970-01-01' + x, '%H:%M:%S.%f'), p)",
    "zoned_text(x, p) AS athena_timestamp_text(athena_local(x), p) || ' ' || x.z",
    """interval_text(x) AS CASE WHEN x < 0 THEN '-' ELSE '' END || CAST(abs(x) // 86400000 AS VARCHAR) || ' '
        || printf('%02d:%02d:%02d.%03d', (abs(x) % 86400000) // 3600000, (abs(x) % 3600000) // 60000,
        (abs(x) % 60000) // 1000, abs(x) % 1000)""",
    "months_text(x) AS CASE WHEN x < 0 THEN '-' ELSE '' END || (abs(x) // 12) || '-' || (abs(x) % 12)",
    f"""written_interval(x) AS CASE WHEN x < 0 THEN {_fails("'a negative interval is not available in the local Athena as a result: CAST it AS varchar'", "x", "to_milliseconds(x)")}
        ELSE to_milliseconds(x) END""",
    f"""written_months(x) AS CASE WHEN x < 0 THEN {_fails("'a negative interval is not available in the local Athena as a result: CAST it AS varchar'", "x", "to_months(x)")}
        ELSE to_months(x) END""",
)

TIMES: Final = (
    "zoned(i, z) AS CASE WHEN i IS NOT NULL AND z IS NOT NULL THEN {'i': i, 'z': z} END",
    r"""zone(z) AS CASE WHEN upper(z) IN ('Z', 'UTC', 'GMT', '+00:00', '-00:00', 'UCT', 'ZULU', 'ETC/UTC') THEN 'UTC'
        WHEN regexp_full_match(z, '[+-]\d{1,2}') THEN left(z, 1) || lpad(substr(z, 2), 2, '0') || ':00'
        WHEN regexp_full_match(z, '[+-]\d{3,4}') THEN left(z, 1) || left(lpad(substr(z, 2), 4, '0'), 2) || ':' || right(z, 2)
        WHEN regexp_full_match(z, '[+-]\d{1,2}:\d\d') THEN left(z, 1) || lpad(substr(z, 2), 5, '0')
        WHEN regexp_full_match(z, '(UTC|GMT|UT)[+-]\d{1,2}(:\d\d)?') THEN athena_offset_text(athena_zone_minutes(
            regexp_extract(z, '[+-].*')))
        ELSE z END""",
    """zone_minutes(z) AS CASE WHEN left(z, 1) = '-' THEN -1 ELSE 1 END
        * (CAST(split_part(substr(z, 2), ':', 1) AS INTEGER) * 60
        + CASE WHEN z LIKE '%:%' THEN CAST(split_part(z, ':', 2) AS INTEGER) ELSE 0 END)""",
    """offset_text(m) AS CASE WHEN m = 0 THEN 'UTC' ELSE CASE WHEN m < 0 THEN '-' ELSE '+' END
        || printf('%02d:%02d', CAST(abs(m) // 60 AS BIGINT), CAST(abs(m) % 60 AS BIGINT)) END""",
    """local(t) AS CASE WHEN t.z = 'UTC' THEN t.i WHEN left(t.z, 1) IN ('+', '-')
        THEN t.i + to_minutes(athena_zone_minutes(t.z)) ELSE timezone(t.z, timezone('UTC', t.i)) END""",
    """instant(l, z) AS CASE WHEN z = 'UTC' THEN l WHEN left(z, 1) IN ('+', '-')
        THEN l - to_minutes(athena_zone_minutes(z)) ELSE timezone('UTC', timezone(z, l)) END""",
    "in_zone(l, z) AS athena_zoned(athena_instant(l, z), z)",
    "offset(t) AS date_diff('minute', t.i, athena_local(t))",
    "offset_hour(t) AS (athena_offset(t) // 60)",
    "offset_minute(t) AS (athena_offset(t) % 60)",
    """iso_offset(m) AS CASE WHEN m = 0 THEN 'Z' ELSE CASE WHEN m < 0 THEN '-' ELSE '+' END
        || printf('%02d:%02d', CAST(abs(m) // 60 AS BIGINT), CAST(abs(m) % 60 AS BIGINT)) END""",
    f"""minutes(m) AS CASE WHEN abs(m) > 840 THEN {_fails("'Invalid offset minutes'", "m", "m")} ELSE m END""",
    "now() AS timezone('UTC', now())",
    "of_epoch(x) AS make_timestamp(CAST(round(x * 1000) AS BIGINT) * 1000)",
    "of_nanos(x) AS make_timestamp(CAST(floor(x / 1000) AS BIGINT))",
    "milliseconds_between(a, b) AS CAST(round((epoch_us(b) - epoch_us(a)) / 1000) AS BIGINT)",
    "shift_time(t, m) AS CAST(DATE '1970-01-02' + t + to_milliseconds(((m % 86400000) + 86400000) % 86400000) AS TIME)",
    """shift_date(d, m) AS CASE WHEN m % 86400000 <> 0 THEN CASE WHEN CAST(left(CAST(m AS VARCHAR), 0) ||
        'athena: Cannot add hour, minutes or seconds to a date' AS INTEGER) = 0 THEN d END
        ELSE d + CAST(m // 86400000 AS INTEGER) END""",
    "shift_zoned(t, m) AS athena_zoned(t.i + to_milliseconds(m), t.z)",
    "shift_zoned_months(t, m) AS athena_in_zone(athena_local(t) + to_months(m), t.z)",
    r"""from_iso8601(x) AS CASE WHEN regexp_full_match(x, '\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d([.,]\d{1,9})?)?)?)?(Z|[+-]\d\d(:?\d\d)?)?')
        THEN athena_in_zone(athena_rounded_down(CAST(replace(replace(regexp_extract(x,
            '^(\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d([.,]\d{1,9})?)?)?)?)', 1), 'T', ' '), ',', '.')
            || CASE WHEN regexp_full_match(regexp_extract(x, 'T[\d:.,]+'), 'T\d\d') THEN ':00' ELSE '' END AS TIMESTAMP)),
            CASE WHEN regexp_matches(x, 'T.*(Z|[+-]\d\d(:?\d\d)?)$')
            THEN athena_zone(regexp_extract(x, 'T.*?(Z|[+-]\d\d(:?\d\d)?)$', 1)) ELSE 'UTC' END)
        ELSE CASE WHEN CAST('athena: Invalid format: ' || x AS INTEGER) = 0 THEN {'i': TIMESTAMP '1970-01-01', 'z': x} END END""",
    "century(x) AS CASE WHEN year(x) = 1969 THEN x + to_years(100) ELSE x END",
    "rounded_down(x) AS date_trunc('millisecond', x)",
    r"""iso_date(x) AS CASE WHEN regexp_full_match(x, '\d{4}-\d\d-\d\d') THEN CAST(x AS DATE)
        WHEN regexp_full_match(x, '\d{4}-W\d\d(-\d)?') THEN CAST(strptime(x || CASE WHEN length(x) = 8 THEN '-1' ELSE '' END,
            '%G-W%V-%u') AS DATE)
        WHEN regexp_full_match(x, '\d{4}-\d\d\d') THEN CAST(strptime(x, '%Y-%j') AS DATE)
        WHEN regexp_full_match(x, '\d{4}-\d\d') THEN CAST(x || '-01' AS DATE)
        WHEN regexp_full_match(x, '\d{4}') THEN CAST(x || '-01-01' AS DATE)
        ELSE CAST('athena: Invalid format: ' || x AS DATE) END""",
)

COLLECTIONS: Final = (
    f"""element(l, k) AS CASE WHEN k BETWEEN 1 AND len(l) THEN l[k] WHEN k IS NULL OR l IS NULL THEN NULL
        ELSE {_fails("'No element at ' || k || ': the array has ' || len(l)", "k", "l[1]")} END""",
    f"""entry(m, k, t) AS CASE WHEN map_contains(m, k) THEN m[k] WHEN m IS NULL OR k IS NULL THEN NULL
        ELSE {_fails("'No element at ' || t || ': Key not present in map'", "t", "m[k]")} END""",
    f"""element_at(l, k) AS CASE WHEN k = 0 THEN {_fails("'SQL array indices start at 1'", "k", "l[1]")}
        ELSE l[k] END""",
    "list_concat(a, b) AS CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN list_concat(a, b) END",
    "array_distinct(l) AS list_filter(l, lambda e, i: list_position(l, e) = i)",
    "array_union(a, b) AS athena_array_distinct(athena_list_concat(a, b))",
    (
        "array_intersect(a, b) AS CASE WHEN b IS NOT NULL THEN "
        "athena_array_distinct(list_filter(a, lambda e: list_position(b, e) IS NOT NULL)) END"
    ),
    (
        "array_except(a, b) AS CASE WHEN b IS NOT NULL THEN "
        "athena_array_distinct(list_filter(a, lambda e: list_position(b, e) IS NULL)) END"
    ),
    "has_null(l) AS len(list_filter(l, lambda e: e IS NULL)) > 0",
    "array_max_floats(l) AS CASE WHEN NOT athena_has_null(l) THEN coalesce(list_max(list_filter(l, lambda x: NOT isnan(x))), list_max(l)) END",
    "array_max(l) AS CASE WHEN NOT athena_has_null(l) THEN list_max(l) END",
    "array_min(l) AS CASE WHEN NOT athena_has_null(l) THEN list_min(l) END",
    "array_remove(l, x) AS CASE WHEN x IS NOT NULL THEN list_filter(l, lambda e: e IS DISTINCT FROM x) END",
    "array_position(l, x) AS CASE WHEN l IS NOT NULL AND x IS NOT NULL THEN coalesce(list_position(l, x), 0) END",
    """contains(l, x) AS CASE WHEN l IS NULL OR x IS NULL THEN NULL WHEN list_contains(l, x) THEN true
        WHEN athena_has_null(l) THEN NULL ELSE false END""",
    """arrays_overlap(a, b) AS CASE WHEN a IS NULL OR b IS NULL THEN NULL WHEN list_has_any(list_filter(a,
        lambda e: e IS NOT NULL), list_filter(b, lambda e: e IS NOT NULL)) THEN true
        WHEN len(a) > 0 AND len(b) > 0 AND (athena_has_null(a) OR athena_has_null(b)) THEN NULL ELSE false END""",
    """contains_sequence(l, s) AS CASE WHEN l IS NULL OR s IS NULL THEN NULL WHEN len(s) = 0 THEN true ELSE
        len(list_filter(range(0, greatest(len(l) - len(s) + 1, 0)), lambda i: l[i + 1 : i + len(s)] = s)) > 0 END""",
    f"""repeat(x, n) AS CASE WHEN n > 10000 OR n < 0 THEN
        {_fails("'repeat takes a count of 0 to 10000'", "n", "[x]")} ELSE list_transform(range(n), lambda i: x) END""",
    f"""slice(l, i, n) AS CASE WHEN i = 0 THEN {_fails("'SQL array indices start at 1'", "i", "l")}
        WHEN n < 0 THEN {_fails("'length must be greater than or equal to 0'", "n", "l")}
        WHEN n = 0 THEN l[1:0] WHEN i > 0 THEN l[i : i + n - 1] WHEN -i > len(l) THEN l[1:0]
        ELSE l[len(l) + i + 1 : len(l) + i + n] END""",
    f"""trim_array(l, n) AS CASE WHEN n < 0 OR n > len(l) THEN
        {_fails("'size must be 0 to the length of the array'", "n", "l")} WHEN n = len(l) THEN l[1:0]
        ELSE l[1 : len(l) - n] END""",
    f"""ngrams(l, n) AS CASE WHEN n <= 0 THEN {_fails("'N must be positive'", "n", "[l]")}
        WHEN len(l) <= n THEN [l] ELSE list_transform(range(0, len(l) - n + 1), lambda i: l[i + 1 : i + n]) END""",
    f"""sequence(a, b, s) AS CASE WHEN s = 0 OR (s > 0) <> (b >= a) AND a <> b THEN
        {_fails("'sequence stop value should be greater than or equal to start value if step is greater than zero'", "s", "[a]")}
        WHEN (b - a) // s >= 10000 THEN
        {_fails("'result of sequence function must not have more than 10000 entries'", "s", "[a]")}
        ELSE generate_series(a, b, s) END""",
    """sequence_days(a, b, s) AS CASE WHEN s % 86400000 <> 0 THEN CASE WHEN CAST(left(CAST(s AS VARCHAR), 0)
        || 'athena: sequence step must be a day interval if start and end values are dates' AS INTEGER) = 0 THEN [a] END
        ELSE list_transform(athena_sequence(0, CAST(b - a AS BIGINT), s // 86400000), lambda e: a + CAST(e AS INTEGER)) END""",
    """sequence_times(a, b, s) AS CASE WHEN (a + s > a) <> (b >= a) AND a <> b THEN CASE WHEN
        CAST(left(CAST(a AS VARCHAR), 0) || 'athena: sequence stop value should be greater than or equal to start value'
        AS INTEGER) = 0 THEN [a] END
        WHEN abs(epoch_us(b) - epoch_us(a)) // greatest(abs(epoch_us(a + s) - epoch_us(a)), 1) >= 10000 THEN CASE WHEN
        CAST(left(CAST(a AS VARCHAR), 0) || 'athena: result of sequence function must not have more than 10000 entries'
        AS INTEGER) = 0 THEN [a] END ELSE generate_series(a, b, s) END""",
    """map_of(l) AS CASE WHEN len(l) <> len(list_distinct(list_transform(l, lambda e: e.key))) THEN CASE WHEN CAST(
        left(CAST(len(l) AS VARCHAR), 0) || 'athena: Duplicate or null map keys are not allowed' AS INTEGER) = 0 THEN
        map_from_entries(l) END ELSE map_from_entries(l) END""",
    """map(k, v) AS CASE WHEN len(k) <> len(v) THEN CASE WHEN CAST(left(CAST(len(k) AS VARCHAR), 0)
        || 'athena: Key and value arrays must be the same length' AS INTEGER) = 0 THEN map(k[1:0], v[1:0]) END
        WHEN len(k) <> len(list_distinct(k)) THEN CASE WHEN CAST(left(CAST(len(k) AS VARCHAR), 0)
        || 'athena: Duplicate or null map keys are not allowed' AS INTEGER) = 0 THEN map(k, v) END ELSE map(k, v) END""",
    """map_agg(l) AS CASE WHEN len(list_filter(l, lambda e: e.key IS NOT NULL)) > 0 THEN map_from_entries(list_filter(l,
        lambda e, i: e.key IS NOT NULL AND list_position(list_transform(l, lambda x: x.key), e.key) = i)) END""",
    """multimap_agg(l) AS CASE WHEN len(l) > 0 THEN map_from_entries(list_transform(list_filter(l,
        lambda e, i: e.key IS NOT NULL AND list_position(list_transform(l, lambda x: x.key), e.key) = i),
        lambda e: {'key': e.key, 'value': list_transform(list_filter(l, lambda x: x.key = e.key), lambda x: x.value)})) END""",
    (
        "any_true(l) AS CASE WHEN list_contains(l, true) THEN true WHEN athena_has_null(l) THEN NULL "
        "WHEN l IS NOT NULL THEN false END"
    ),
    (
        "all_true(l) AS CASE WHEN list_contains(l, false) THEN false WHEN athena_has_null(l) THEN NULL "
        "WHEN l IS NOT NULL THEN true END"
    ),
    f"""ordered(r, a, b) AS CASE WHEN CAST(a AS VARCHAR) LIKE '%null%' OR CAST(b AS VARCHAR) LIKE '%null%' THEN
        {_fails("'comparison not supported for rows or arrays with null elements'", "r", "r")} ELSE r END""",
    "same(x) AS CASE WHEN random() >= 0 THEN x END",
)
