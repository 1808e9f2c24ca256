"""Functions that DuckDB does not have, in Python. A query that uses none pays nothing for them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any, Final

_PATTERNS: dict[str, Any] = {}


def _pattern(text: str) -> Any:
    """Returns a regular expression of Java's syntax as Python reads it."""
    found = _PATTERNS.get(text)
    if found is None:
        given = re.sub(r"\(\?<([A-Za-z])", r"(?P<\1", text)
        flags = "".join(re.findall(r"\(\?([a-z]+)\)", given))
        given = re.sub(r"\(\?[a-z]+\)", "", given) if flags else given
        given = (f"(?{''.join(sorted(set(flags) & set('ims')))})" if set(flags) & set("ims") else "") + given
        try:
            found = _PATTERNS.setdefault(text, re.compile(given.replace(r"\h", r"[ \t]").replace("\\z", r"\Z")))
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return found


def _regexp_extract(text: str, pattern: str, group: int) -> str | None:
    expression = _pattern(pattern)
    if not 0 <= group <= expression.groups:
        raise ValueError(f"Pattern has {expression.groups} groups. Cannot access group {group}")
    hit = expression.search(text)
    return None if hit is None else hit.group(group)


def _regexp_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    expression = _pattern(pattern)
    if not 0 <= group <= expression.groups:
        raise ValueError(f"Pattern has {expression.groups} groups. Cannot access group {group}")
    return [hit.group(group) for hit in expression.finditer(text)]


def _regexp_replace(text: str, pattern: str, replacement: str) -> str:
    expression = _pattern(pattern)
    pieces = _pieces(replacement, expression)
    return str(expression.sub(lambda hit: "".join(p if isinstance(p, str) else hit[p[0]] or "" for p in pieces), text))


def _pieces(replacement: str, expression: Any) -> list[Any]:
    found: list[Any] = []
    position = 0
    while position < len(replacement):
        letter = replacement[position]
        if letter == "\\":
            if position + 1 == len(replacement):
                raise ValueError("Illegal replacement sequence")
            found.append(replacement[position + 1])
            position += 2
        elif letter == "$":
            hit = re.compile(r"\$(?:(\d)|\{(\w+)\})").match(replacement, position)
            if hit is None:
                raise ValueError("Illegal replacement sequence: $")
            group: Any = hit[2]
            end = hit.end()
            if hit[1]:
                group = int(hit[1])
                if group > expression.groups:
                    raise ValueError(f"Illegal replacement sequence: unknown group {group}")
                while (
                    end < len(replacement)
                    and replacement[end].isdigit()
                    and group * 10 + int(replacement[end]) <= expression.groups
                ):
                    group, end = group * 10 + int(replacement[end]), end + 1
            elif group not in expression.groupindex:
                raise ValueError(f"Illegal replacement sequence: unknown group {group}")
            found.append((group,))
            position = end
        else:
            found.append(letter)
            position += 1
    return found


def _regexp_split(text: str, pattern: str) -> list[str]:
    found, end = [], 0
    for hit in _pattern(pattern).finditer(text):
        found.append(text[end : hit.start()])
        end = hit.end()
    return [*found, text[end:]]


def _regexp_position(text: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1 or occurrence < 1:
        raise ValueError("start position and occurrence cannot be smaller than 1")
    if start > len(text):
        return -1
    for number, hit in enumerate(_pattern(pattern).finditer(text, start - 1), 1):
        if number == occurrence:
            return int(hit.start()) + 1
    return -1


def _json_parse(text: str) -> str:
    def refuse(word: str) -> None:
        raise ValueError(f"Cannot convert value to JSON: {word}")

    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError:
        raise ValueError(f"Cannot convert value to JSON: '{text[:60]}'") from None
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _json_array_get(text: str, index: int) -> str | None:
    value = _json(text)
    if not isinstance(value, list) or not -len(value) <= index < len(value) or value[index] is None:
        return None
    found = value[index]
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def _json_array_contains(text: str, wanted: str) -> bool | None:
    value = _json(text)
    if not isinstance(value, list):
        return None
    item = json.loads(wanted)
    number = isinstance(item, float)
    return any(type(each) is type(item) and each == item and (not number or each == item) for each in value)


def _levenshtein(first: str, second: str) -> int:
    if len(first) * len(second) > 1_000_000:
        raise ValueError("The combined inputs for levenshtein_distance exceed the limit of 1000000 steps")
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return int(row[-1])


def _hamming(first: str, second: str) -> int:
    if len(first) != len(second):
        raise ValueError("The input strings to hamming_distance function must have the same length")
    return sum(a != b for a, b in zip(first, second, strict=True))


def _normalize(text: str, form: str) -> str:
    if form not in {"NFC", "NFD", "NFKC", "NFKD"}:
        raise ValueError(f"Normalization form must be one of NFD, NFC, NFKD, NFKC, not {form}")
    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


def _from_base(text: str, radix: int) -> int:
    if not 2 <= radix <= 36:
        raise ValueError("Radix must be between 2 and 36")
    if not re.fullmatch(r"[+-]?[0-9A-Za-z]+", text):
        raise ValueError(f"Not a valid base-{radix} number: {text}")
    return int(text, radix)


def _to_base(number: int, radix: int) -> str:
    if not 2 <= radix <= 36:
        raise ValueError("Radix must be between 2 and 36")
    digits, rest = "", abs(number)
    while rest:
        rest, digit = divmod(rest, radix)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return ("-" if number < 0 else "") + (digits or "0")


def _bit_count(number: int, bits: int) -> int:
    if not 2 <= bits <= 64:
        raise ValueError("Bits specified in bit_count must be between 2 and 64")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise ValueError(
            f"Number must be representable with the bits specified. {number} can not be represented with {bits} bits"
        )
    return int((number & (2**bits - 1)).bit_count())


def _width_bucket(value: float, low: float, high: float, count: int) -> int:
    if (
        count <= 0
        or math.isnan(value)
        or low == high
        or abs(low) == float("inf")
        or abs(high) == float("inf")
        or math.isnan(low)
        or math.isnan(high)
    ):
        raise ValueError("bucketCount must be greater than 0, and the operand and bounds finite")
    a, b = min(low, high), max(low, high)
    if value < a:
        found = 0
    elif value >= b:
        found = count + 1
    else:
        found = int(count * (value - a) / (b - a) + 1)
    return found if low < high else count - found + 1


def _width_bucket_of(value: float, bins: list[float]) -> int:
    if not bins or math.isnan(value) or any(a > b for a, b in itertools.pairwise(bins)):
        raise ValueError("Bins must be an array of ascending values, and the operand a number")
    return sum(value >= each for each in bins)


def _soundex(text: str) -> str:
    codes = dict(zip("AEIOUYHWBFPVCGJKQSXZDTLMNR", "000000hh11112222222233455 6".replace(" ", ""), strict=False))
    codes = {
        **dict.fromkeys("AEIOUY", "0"),
        **dict.fromkeys("HW", ""),
        **dict.fromkeys("BFPV", "1"),
        **dict.fromkeys("CGJKQSXZ", "2"),
        "D": "3",
        "T": "3",
        "L": "4",
        "M": "5",
        "N": "5",
        "R": "6",
    }
    letters = [letter for letter in text.upper() if letter.isalpha()]
    if any(letter not in codes for letter in letters):
        raise ValueError("The character is not mapped")
    if not letters:
        return ""
    found, last = letters[0], codes[letters[0]]
    for letter in letters[1:]:
        code = codes[letter]
        if code == "":
            continue
        if code not in {"0", last}:
            found += code
        last = code
    return found[:4].ljust(4, "0")


def _human_seconds(value: float) -> str:
    if math.isnan(value) or abs(value) == float("inf"):
        raise ValueError("Invalid argument found")
    parts: list[str] = []
    rest = round(abs(value) + 1e-12)
    for name, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        if count or (name == "second" and not parts):
            parts.append(f"{count} {name}{'' if count == 1 else 's'}")
    return ", ".join(parts)


def _hmac(data: bytes, key: bytes, name: str) -> bytes:
    return hmac.new(key, data, name.removeprefix("hmac_")).digest()


def _from_big_endian(data: bytes, size: int) -> int:
    if len(data) != size:
        raise ValueError(f"expected {size}-byte input, but got instead: {len(data)}")
    return int.from_bytes(data, "big", signed=True)


def _decoded(decode: Callable[[str], bytes], what: str) -> Callable[[str], bytes]:
    def run(text: str) -> bytes:
        try:
            return decode(text)
        except (binascii.Error, ValueError):
            raise ValueError(f"Invalid {what}: {text[:60]}") from None

    return run


def _wide_quotient(first: str, second: str, scale: int) -> str:
    with localcontext() as context:
        context.prec = 200
        divisor = Decimal(second)
        if not divisor:
            raise ValueError("Division by zero")
        found = (Decimal(first) / divisor).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP)
    return f"{found:f}"


def _decimal_to(rounding: str) -> Callable[..., str]:
    def run(text: str, digits: int = 0, scale: int = 0) -> str:
        with localcontext() as context:
            context.prec = 120
            value = Decimal(text)
            if digits < scale or rounding in {"ROUND_CEILING", "ROUND_FLOOR"}:
                value = value.quantize(Decimal(1).scaleb(-max(digits, -100)), rounding=rounding)
            return f"{value.quantize(Decimal(1).scaleb(-scale)):f}"

    return run


def _plain(rounding: str) -> Callable[[str], str]:
    return lambda text: _decimal_to(rounding)(text, 0, 1).partition(".")[0]


_TEXT, _BYTES, _LONG = "VARCHAR", "BLOB", "BIGINT"
FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], list[str], str]]] = {
    "regexp_extract": (_regexp_extract, [_TEXT, _TEXT, _LONG], _TEXT),
    "regexp_extract_all": (_regexp_extract_all, [_TEXT, _TEXT, _LONG], "VARCHAR[]"),
    "regexp_replace": (_regexp_replace, [_TEXT, _TEXT, _TEXT], _TEXT),
    "regexp_split": (_regexp_split, [_TEXT, _TEXT], "VARCHAR[]"),
    "regexp_count": (lambda s, p: len(_regexp_extract_all(s, p, 0)), [_TEXT, _TEXT], _LONG),
    "regexp_like": (lambda s, p: _pattern(p).search(s) is not None, [_TEXT, _TEXT], "BOOLEAN"),
    "regexp_position": (_regexp_position, [_TEXT, _TEXT, _LONG, _LONG], "INTEGER"),
    "json_parse": (_json_parse, [_TEXT], "JSON"),
    "json_array_get": (_json_array_get, [_TEXT, _LONG], "JSON"),
    "json_array_contains": (_json_array_contains, [_TEXT, _TEXT], "BOOLEAN"),
    "levenshtein": (_levenshtein, [_TEXT, _TEXT], _LONG),
    "hamming": (_hamming, [_TEXT, _TEXT], _LONG),
    "normalize": (_normalize, [_TEXT, _TEXT], _TEXT),
    "from_base": (_from_base, [_TEXT, _LONG], _LONG),
    "to_base": (_to_base, [_LONG, _LONG], _TEXT),
    "bit_count": (_bit_count, [_LONG, _LONG], _LONG),
    "width_bucket": (_width_bucket, ["DOUBLE", "DOUBLE", "DOUBLE", _LONG], _LONG),
    "width_bucket_of": (_width_bucket_of, ["DOUBLE", "DOUBLE[]"], _LONG),
    "soundex": (_soundex, [_TEXT], _TEXT),
    "human_seconds": (_human_seconds, ["DOUBLE"], _TEXT),
    "from_utf8": (lambda b: b.decode("utf-8", "replace"), [_BYTES], _TEXT),
    "from_hex": (_decoded(bytes.fromhex, "hexadecimal text"), [_TEXT], _BYTES),
    "from_base64": (
        _decoded(lambda t: base64.b64decode(t + "=" * (-len(t) % 4), validate=True), "base64"),
        [_TEXT],
        _BYTES,
    ),
    "to_base64url": (lambda b: base64.urlsafe_b64encode(b).decode(), [_BYTES], _TEXT),
    "from_base64url": (
        _decoded(lambda t: base64.urlsafe_b64decode(t + "=" * (-len(t) % 4)), "base64url"),
        [_TEXT],
        _BYTES,
    ),
    "to_base32": (lambda b: base64.b32encode(b).decode(), [_BYTES], _TEXT),
    "from_base32": (_decoded(lambda t: base64.b32decode(t + "=" * (-len(t) % 8)), "base32"), [_TEXT], _BYTES),
    "sha512": (lambda b: hashlib.sha512(b).digest(), [_BYTES], _BYTES),
    "crc32": (binascii.crc32, [_BYTES], _LONG),
    "hmac": (_hmac, [_BYTES, _BYTES, _TEXT], _BYTES),
    "big_endian": (lambda n, size: n.to_bytes(size, "big", signed=True).hex(), [_LONG, _LONG], _TEXT),
    "from_big_endian": (_from_big_endian, [_BYTES, _LONG], _LONG),
    "wide_quotient": (_wide_quotient, [_TEXT, _TEXT, _LONG], _TEXT),
    "round_decimal": (_decimal_to("ROUND_HALF_UP"), [_TEXT, "INTEGER", "INTEGER"], _TEXT),
    "truncate_decimal": (_decimal_to("ROUND_DOWN"), [_TEXT, "INTEGER", "INTEGER"], _TEXT),
    "ceil_decimal": (_plain("ROUND_CEILING"), [_TEXT], _TEXT),
    "floor_decimal": (_plain("ROUND_FLOOR"), [_TEXT], _TEXT),
    "trunc_decimal": (_plain("ROUND_DOWN"), [_TEXT], _TEXT),
    "round_decimal_whole": (_plain("ROUND_HALF_UP"), [_TEXT], _TEXT),
}


def names() -> set[str]:
    """Returns the names of the functions as SQL calls them."""
    return {f"athena_{name}" for name in FUNCTIONS}


def register(connection: Any) -> None:
    """Gives a connection the functions."""
    for name, (function, given, result) in FUNCTIONS.items():
        answer = _of_nulls(function, len(given))
        connection.create_function(f"athena_{name}", answer, given, result, null_handling="special")


def _of_nulls(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Returns a function of so many arguments, which DuckDB counts, that answers NULL for a NULL."""

    def answer(*args: Any) -> Any:
        return None if any(arg is None for arg in args) else function(*args)

    shapes: dict[int, Callable[..., Any]] = {
        1: lambda a: answer(a),
        2: lambda a, b: answer(a, b),
        3: lambda a, b, c: answer(a, b, c),
        4: lambda a, b, c, d: answer(a, b, c, d),
    }
    return shapes[count]
