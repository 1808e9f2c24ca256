"""Splits a Spark SQL script into statements and fills its `{parameters}`; strings and comments are respected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# Tried in this order. An unclosed string or comment runs to the end: Spark then reports what is wrong.
_TOKEN = re.compile(
    r"""
      (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>'(?:\\.|''|[^'\\])*'? | "(?:\\.|""|[^"\\])*"?)
    | (?P<name>`(?:``|[^`])*`?)
    | (?P<end>;)
    | (?P<other>[^-/'"`;]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def split_statements(script: str) -> list[str]:
    r"""Returns the script's statements in order, without the empty ones.

    Example:
        >>> split_statements("SET a = 1; -- one; two\nSELECT ';' AS x;")
        ['SET a = 1', "-- one; two\nSELECT ';' AS x"]
    """
    statements = []
    text, code = "", False
    for kind, token in _tokens(script):
        if kind == "end":
            statements.append((text, code))
            text, code = "", False
            continue
        text += token
        code = code or (kind not in {"line", "block"} and not token.isspace())
    statements.append((text, code))
    return [statement.strip() for statement, has_code in statements if has_code]


def fill_parameters(statement: str, values: Mapping[str, object]) -> str:
    r"""Returns the statement with each `{name}` of `values` replaced; other braces are unchanged.

    Within a string or a quoted name the value is escaped, so that it cannot end it.

    Example:
        >>> fill_parameters("SELECT '{who}' AS who, '{other}'", {"who": "O'Hare"})
        "SELECT 'O\\'Hare' AS who, '{other}'"
    """

    def filled(kind: str, token: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                return match[0]
            text = str(values[match[1]])
            if kind == "string":
                return text.replace("\\", "\\\\").replace(token[0], "\\" + token[0])
            return text.replace("`", "``") if kind == "name" else text

        return token if kind in {"line", "block"} else _PARAMETER.sub(value, token)

    return "".join(filled(kind, token) for kind, token in _tokens(statement))


def _tokens(script: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(script):
        match = _TOKEN.match(script, place)
        assert match is not None  # `other` matches any character
        kind = str(match.lastgroup)
        end = _comment_end(script, match.end()) if kind == "block" else match.end()
        # A hint is code: with `/*+ BROADCAST(x) */`, a statement is not empty, and its parameters are filled.
        yield ("other" if kind == "block" and script.startswith("+", place + 2) else kind), script[place:end]
        place = end


def _comment_end(script: str, place: int) -> int:
    """Returns the end of a block comment that started before `place`; Spark's comments nest."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", script[place:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return place + mark.end()
    return len(script)
