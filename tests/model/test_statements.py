import pytest

from rheo_assets.model.compute.statements import fill_parameters, split_statements

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT 1; SELECT 2 ;; \n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';'", "SELECT 2"]),
        ('SELECT "a;b" -- c;d\n; SELECT 2', ['SELECT "a;b" -- c;d', "SELECT 2"]),
        ("SELECT 'it''s; fine'; SELECT 2", ["SELECT 'it''s; fine'", "SELECT 2"]),
        (r"SELECT 'it\'s; fine'; SELECT 2", [r"SELECT 'it\'s; fine'", "SELECT 2"]),
        ("SELECT /* a; /* b; */ c; */ 1; SELECT `x;y`", ["SELECT /* a; /* b; */ c; */ 1", "SELECT `x;y`"]),
        ("SELECT 1; -- the end;\n/* really; */", ["SELECT 1"]),
        ("SELECT /*+ COALESCE(1) */ 1 - 2 / 3; SELECT 2", ["SELECT /*+ COALESCE(1) */ 1 - 2 / 3", "SELECT 2"]),
        ("SELECT 'open; SELECT 2", ["SELECT 'open; SELECT 2"]),
        ("/* open; SELECT 2", []),
        (" ; \n", []),
    ],
)
def test_semicolons_in_strings_names_and_comments_do_not_end_a_statement(script, statements):
    assert split_statements(script) == statements


@pytest.mark.parametrize(
    ("statement", "filled"),
    [
        ("SELECT '{day}'", "SELECT '2024-01-01'"),
        ("SELECT {n} + 1", "SELECT 3 + 1"),
        ("SELECT '{other}', map('{', '}')", "SELECT '{other}', map('{', '}')"),
        ("SELECT 1 -- {day}", "SELECT 1 -- {day}"),
        ("SELECT /*+ REPARTITION({n}) */ 1", "SELECT /*+ REPARTITION(3) */ 1"),
        ("SELECT '{who}', \"{who}\"", "SELECT 'O\\'Hare', \"O'Hare\""),
        ("SELECT '{path}'", r"SELECT 'a\\b'"),
        ("SELECT `{tick}`", "SELECT `a``b`"),
        ("SELECT '{ day }'", "SELECT '{ day }'"),
    ],
)
def test_known_parameters_are_filled_and_cannot_end_their_string(statement, filled):
    values = {"day": "2024-01-01", "n": 3, "who": "O'Hare", "path": "a\\b", "tick": "a`b"}
    assert fill_parameters(statement, values) == filled
