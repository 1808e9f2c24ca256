"""The supported functions of Trino, each with the DuckDB expression that answers alike.

This table is the whole set: a function outside it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlglot import exp

from rheo_assets.platforms.local.presto import lambdas, patterns
from rheo_assets.platforms.local.presto.calls import Node, call, cast, macro, record, text, text_of
from rheo_assets.platforms.local.presto.refusals import Refusal, not_available

MANY = 255
UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of Trino.

    Attributes:
        least: The fewest arguments it takes.
        most: The most.
        build: Makes the DuckDB expression of its arguments.
        around: For an aggregate: the macro around the whole of it, `FILTER` and `OVER` included.
    """

    least: int
    most: int
    build: Callable[..., Node]
    around: str = ""

    def check(self, name: str, count: int) -> None:
        """Refuses a call with too few or too many arguments."""
        if not self.least <= count <= self.most:
            wanted = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
            wanted = f"at least {self.least}" if self.most == MANY else wanted
            raise Refusal(f"{name} takes {wanted} arguments in the local Athena, found {count}")


def _renamed(to: str, least: int, most: int | None = None) -> Function:
    return Function(least, least if most is None else most, partial(call, to))


def _macro(to: str, least: int, most: int | None = None) -> Function:
    return Function(least, least if most is None else most, partial(macro, to))


def _operator(kind: type[Node]) -> Function:
    return Function(2, 2, lambda a, b: exp.Paren(this=kind(this=exp.Paren(this=a), expression=exp.Paren(this=b))))


def _constant(value: Callable[[], Node]) -> Function:
    return Function(0, 0, value)


def _unit(node: Node) -> str:
    unit = text_of(node, "unit").lower()
    if unit not in UNITS:
        raise Refusal(f"{unit!r} is no unit of time (known: {', '.join(UNITS)})")
    return unit


def _date_add(unit: Node, count: Node, value: Node) -> Node:
    name = _unit(unit)
    if name == "quarter":
        name, count = "month", exp.Mul(this=exp.Paren(this=count), expression=exp.Literal.number(3))
    integer = "BIGINT" if name in {"millisecond", "second", "minute", "hour"} else "INTEGER"
    return macro("shift", value, call(f"to_{name}s", cast(exp.Paren(this=count), integer)))


def _map(*args: Node) -> Node:
    if len(args) == 1:
        raise Refusal("map takes no or two arguments: map(keys, values)")
    return call("map", *(args or (exp.Array(), exp.Array())))


def _null_if_any_is(name: str) -> Function:
    def build(*args: Node) -> Node:
        absent = exp.or_(*(exp.Is(this=exp.Paren(this=arg.copy()), expression=exp.Null()) for arg in args))
        return exp.Case(ifs=[exp.If(this=absent, true=exp.Null())], default=call(name, *args))

    return Function(1, MANY, build)


def _concat(*args: Node) -> Node:
    joined = exp.Paren(this=args[0])
    for arg in args[1:]:
        joined = exp.DPipe(this=joined, expression=exp.Paren(this=arg))
    return exp.Paren(this=joined)


def _regexp_replace(subject: Node, pattern: Node, *new: Node) -> Node:
    if new and isinstance(new[0], exp.Lambda):
        raise not_available("regexp_replace with a function")
    given = [text(patterns.regexp_replacement(text_of(new[0], "replacement of regexp_replace")))] if new else []
    return macro("regexp_replace", subject, pattern, *given)


def _json(name: str) -> Function:
    def build(value: Node, path: Node) -> Node:
        return macro(name, value, text(patterns.json_path(text_of(path, f"path of {name}"))))

    return Function(2, 2, build)


def _dated(name: str, translate: Callable[[str], str], result: str) -> Function:
    def build(value: Node, pattern: Node) -> Node:
        return cast(call(name, value, text(translate(text_of(pattern, "date pattern")))), result)

    return Function(2, 2, build)


def _distinct_count(value: Node, _error: Node = None) -> Node:
    return call("count", exp.Distinct(expressions=[value]))


def _sequence(*args: Node) -> Node:
    if all(isinstance(arg, exp.Literal) and not arg.is_string for arg in args):
        args = tuple(cast(arg, "BIGINT") for arg in args)
    return macro("sequence", *args)


def _element_at(value: Node, key: Node) -> Node:
    return exp.Bracket(this=exp.Paren(this=value), expressions=[key], offset=1)


# Functions that DuckDB has under the same name with the same answers, by their number of arguments.
_OF_NONE = "pi random uuid now row_number rank dense_rank percent_rank cume_dist"
_OF_ONE = """
    abs acos asin atan cbrt ceil ceiling cos cosh degrees exp floor ln log2 log10 radians sign sin sinh sqrt tan
    tanh lower upper reverse length chr flatten map_from_entries map_entries map_keys map_values year month hour minute
    second quarter bool_and bool_or count_if sum avg stddev stddev_pop stddev_samp variance var_pop var_samp try ntile
    histogram array_agg first_value last_value url_encode url_decode
"""
_OF_TWO = """
    atan2 pow power log strpos starts_with translate nullif corr covar_pop covar_samp regr_slope regr_intercept
    nth_value
"""
_SAME: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(_OF_NONE.split(), (0, 0)),
    **dict.fromkeys(_OF_ONE.split(), (1, 1)),
    **dict.fromkeys(_OF_TWO.split(), (2, 2)),
    **dict.fromkeys(("trim", "ltrim", "rtrim", "min", "max", "round"), (1, 2)),
    **dict.fromkeys(("lpad", "rpad"), (3, 3)),
    **dict.fromkeys(("lag", "lead"), (1, 3)),
    **dict.fromkeys(("coalesce", "row", "grouping"), (1, MANY)),
    **dict.fromkeys(("map_concat", "concat_ws"), (2, MANY)),
    "count": (0, 1),
}

_MATHEMATICS: Mapping[str, Function] = {
    "mod": Function(2, 2, lambda a, b: exp.Mod(this=exp.Paren(this=a), expression=macro("nonzero", b))),
    "truncate": _macro("truncate", 1, 2),
    "greatest": _null_if_any_is("greatest"),
    "least": _null_if_any_is("least"),
    "rand": _renamed("random", 0),
    "e": _constant(lambda: call("exp", exp.Literal.number(1))),
    "infinity": _constant(lambda: cast(text("Infinity"), "DOUBLE")),
    "nan": _constant(lambda: cast(text("NaN"), "DOUBLE")),
    "is_nan": _renamed("isnan", 1),
    "is_finite": _renamed("isfinite", 1),
    "is_infinite": _renamed("isinf", 1),
    "bitwise_and": _operator(exp.BitwiseAnd),
    "bitwise_or": _operator(exp.BitwiseOr),
    "bitwise_xor": _renamed("xor", 2),
    "bitwise_left_shift": _operator(exp.BitwiseLeftShift),
    "bitwise_right_shift": _operator(exp.BitwiseRightShift),
}

_TEXT: Mapping[str, Function] = {
    "concat": Function(1, MANY, _concat),
    "substr": _macro("substr", 2, 3),
    "substring": _macro("substr", 2, 3),
    "replace": _macro("replace", 2, 3),
    "split": _renamed("string_split", 2),
    "split_part": _macro("split_part", 3),
    "split_to_map": _macro("split_to_map", 3),
    "codepoint": _renamed("ord", 1),
    "levenshtein_distance": _renamed("levenshtein", 2),
    "hamming_distance": _renamed("hamming", 2),
    "regexp_like": _renamed("regexp_matches", 2),
    "regexp_extract": _macro("regexp_extract", 2, 3),
    "regexp_extract_all": _renamed("regexp_extract_all", 2, 3),
    "regexp_replace": Function(2, 3, _regexp_replace),
    "regexp_split": _renamed("string_split_regex", 2),
    "regexp_count": _macro("regexp_count", 2),
    **{
        f"url_extract_{part}": _macro(f"url_{part}", 2 if part == "parameter" else 1)
        for part in ("protocol", "host", "port", "path", "query", "fragment", "parameter")
    },
    "to_utf8": _renamed("encode", 1),
    "from_utf8": _renamed("decode", 1),
    "to_hex": _renamed("hex", 1),
    "from_hex": _renamed("unhex", 1),
    "to_base64": _renamed("base64", 1),
    "from_base64": _renamed("from_base64", 1),
    "md5": _macro("md5", 1),
    "sha1": _macro("sha1", 1),
    "sha256": _macro("sha256", 1),
}

_JSON: Mapping[str, Function] = {
    "json_extract": _json("json_extract"),
    "json_extract_scalar": _json("json_extract_scalar"),
    "json_size": _json("json_size"),
    "json_parse": _macro("json_parse", 1),
    "json_format": _macro("json_format", 1),
    "json_array_length": _macro("json_array_length", 1),
    "is_json_scalar": _macro("is_json_scalar", 1),
}

_COLLECTIONS: Mapping[str, Function] = {
    **{
        name: _macro(name, least, most)
        for name, least, most in (
            ("cardinality", 1, 1),
            ("array_distinct", 1, 1),
            ("array_union", 2, 2),
            ("array_intersect", 2, 2),
            ("array_except", 2, 2),
            ("array_max", 1, 1),
            ("array_min", 1, 1),
            ("array_sort", 1, 1),
            ("array_remove", 2, 2),
            ("array_position", 2, 2),
            ("array_join", 2, 3),
            ("contains", 2, 2),
            ("repeat", 2, 2),
            ("slice", 3, 3),
        )
    },
    "arrays_overlap": _renamed("list_has_any", 2),
    "element_at": Function(2, 2, _element_at),
    "sequence": Function(2, 3, _sequence),
    "zip": _renamed("list_zip", 2, 5),
    "map": Function(0, 2, _map),
    "transform": Function(2, 2, lambdas.transform),
    "filter": Function(2, 2, lambdas.keep),
    "reduce": Function(4, 4, lambdas.reduce),
    "any_match": Function(2, 2, lambdas.any_match),
    "all_match": Function(2, 2, lambdas.all_match),
    "none_match": Function(2, 2, lambdas.none_match),
    "zip_with": Function(3, 3, lambdas.zip_with),
    "map_filter": Function(2, 2, lambdas.map_filter),
    "transform_values": Function(2, 2, lambdas.transform_values),
    "transform_keys": Function(2, 2, lambdas.transform_keys),
}

_AGGREGATES: Mapping[str, Function] = {
    "every": _renamed("bool_and", 1),
    "arbitrary": _renamed("any_value", 1),
    "any_value": _renamed("any_value", 1),
    # Exact, which is one of the answers an approximation may give.
    "approx_distinct": Function(1, 2, _distinct_count),
    "approx_percentile": _renamed("quantile_disc", 2),
    "max_by": _renamed("arg_max_null", 2),
    "min_by": _renamed("arg_min_null", 2),
    "bitwise_and_agg": _renamed("bit_and", 1),
    "bitwise_or_agg": _renamed("bit_or", 1),
    "map_agg": Function(2, 2, lambda key, value: call("list", record(key=key, value=value)), around="map_agg"),
    "listagg": _renamed("string_agg", 1, 2),
}

_TIMES: Mapping[str, Function] = {
    **{name: _renamed("day", 1) for name in ("day", "day_of_month")},
    **{name: _renamed("isodow", 1) for name in ("day_of_week", "dow")},
    **{name: _renamed("dayofyear", 1) for name in ("day_of_year", "doy")},
    **{name: _renamed("weekofyear", 1) for name in ("week", "week_of_year")},
    **{name: _renamed("isoyear", 1) for name in ("year_of_week", "yow")},
    "millisecond": _macro("millisecond", 1),
    "last_day_of_month": _renamed("last_day", 1),
    "date": Function(1, 1, lambda value: cast(value, "DATE")),
    "date_trunc": Function(2, 2, lambda unit, value: macro("date_trunc", text(_unit(unit)), value)),
    "date_add": Function(3, 3, _date_add),
    # Trino counts whole units, as DuckDB's date_sub; its date_diff counts the borders crossed.
    "date_diff": Function(3, 3, lambda unit, start, end: call("date_sub", text(_unit(unit)), start, end)),
    "date_format": _dated("strftime", patterns.from_mysql, "VARCHAR"),
    "date_parse": _dated("strptime", patterns.from_mysql, "TIMESTAMP"),
    "format_datetime": _dated("strftime", partial(patterns.from_joda, parsing=False), "VARCHAR"),
    "parse_datetime": _dated("strptime", partial(patterns.from_joda, parsing=True), "TIMESTAMPTZ"),
    "from_unixtime": Function(1, 1, lambda value: call("to_timestamp", cast(value, "DOUBLE"))),
    "to_unixtime": _renamed("epoch", 1),
    "from_iso8601_timestamp": Function(1, 1, lambda value: cast(value, "TIMESTAMPTZ")),
    "from_iso8601_date": Function(1, 1, lambda value: cast(value, "DATE")),
    "to_iso8601": _macro("to_iso8601", 1),
    "with_timezone": Function(2, 2, lambda value, zone: call("timezone", zone, cast(value, "TIMESTAMP"))),
    "current_timezone": _constant(lambda: text("UTC")),
}

FUNCTIONS: Mapping[str, Function] = {
    **{name: _renamed(name, least, most) for name, (least, most) in _SAME.items()},
    **_MATHEMATICS,
    **_TEXT,
    **_JSON,
    **_COLLECTIONS,
    **_AGGREGATES,
    **_TIMES,
}

# Functions whose answer depends on the instant, not on the wall clock of a time zone.
OF_INSTANTS = frozenset({"to_unixtime", "to_iso8601"})
