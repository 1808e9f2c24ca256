"""Each kind of expression whose answer depends on the type that Trino gives it."""

import pytest

from rheo_assets.platforms.local.presto import PrestoEngine
from rheo_assets.runner.task import Task, TaskFailure, TaskOutput

VALUES = {
    "a_decimal_has_the_scale_of_its_literal": ("cast(19.99 * decimal '1.0825' as varchar)", "21.639175"),
    "decimals_divide_as_decimals": ("cast(cast(10.00 as decimal(10,2)) / 3 as varchar)", "3.33"),
    "a_double_is_written_with_an_exponent": ("cast(123.456e0 as varchar)", "1.23456E2"),
    "doubles_divide_by_zero": ("cast(1e0 / 0e0 as varchar)", "Infinity"),
    "nan_equals_nothing": ("nan() = nan()", False),
    "a_timestamp_keeps_its_zone": ("hour(from_iso8601_timestamp('2020-05-01T02:00:00+05:30'))", 2),
    "an_instant_has_the_date_of_its_zone": (
        "cast(date(from_iso8601_timestamp('2024-01-01T01:00:00+02:00')) as varchar)",
        "2024-01-01",
    ),
    "instants_of_two_zones_are_compared": (
        """date_diff('hour', timestamp '2024-03-10 00:00:00 UTC' at time zone 'Asia/Tokyo',
                     timestamp '2024-03-10 05:00:00 UTC')""",
        5,
    ),
    "a_cast_from_text_takes_what_trino_takes": ("try_cast('2024-01-01T10:00:00Z' as timestamp)", None),
    "translate_takes_three_arguments": ("translate('abc', 'ab', 'xy')", "xyc"),
    "maps_are_equal_in_any_order": ("map(array[1, 3], array[2, 4]) = map(array[3, 1], array[4, 2])", True),
    "a_group_without_a_match_is_null": ("regexp_extract('abc', '(x)?abc', 1)", None),
    "json_becomes_a_row_without_its_other_keys": (
        """cast(json_parse('{"a": 1, "extra": 2}') as row(a integer)).a""",
        1,
    ),
}
REFUSED = {
    "text_and_number_are_not_compared": ("'1' = 1", "line 1, column 8: '1' = 1: '=' cannot be applied to"),
    "text_and_number_are_not_joined": ("'a' || 1", "'||' cannot be applied to varchar(1), integer"),
    "a_number_does_not_fit_a_short_text": ("cast(123 as varchar(2))", "cannot be represented as varchar(2)"),
    "an_hour_is_not_taken_from_a_date": ("extract(hour from date '2020-01-01')", "cannot extract HOUR from date"),
    "hours_are_not_added_to_a_date": ("date '2001-01-22' - interval '3' hour", "Cannot add hour"),
    "two_equal_signs_are_a_syntax_error": ("1 == 1", "syntax error"),
}


@pytest.fixture
def answer(tmp_path):
    engine = PrestoEngine(tmp_path)

    def run(sql):
        task = Task(node="n", lang="PRESTO_SQL", code=sql, inputs=(), output=TaskOutput(path="s3://b/o"))
        (row,) = engine.run(task, lambda _: None, lambda: False).preview
        return row["v"]

    return run


@pytest.mark.parametrize(("sql", "value"), VALUES.values(), ids=VALUES)
def test_an_expression_has_the_value_that_trino_documents(answer, sql, value):
    assert answer(f"select {sql} as v") == value


@pytest.mark.parametrize(("sql", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_expression_is_refused_with_the_reason_of_trino(answer, sql, reason):
    with pytest.raises(TaskFailure) as failure:
        answer(f"select {sql} as v")
    assert reason in str(failure.value)


def test_an_alias_of_the_select_list_is_no_column_of_where(answer):
    with pytest.raises(TaskFailure, match="there is no column 'a'"):
        answer("select 1 as a where a = 1")
