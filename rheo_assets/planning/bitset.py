"""Sets of integers as bits, in blocks of 4096: bit `i` of block `n` stands for `n * 4096 + i`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rheo_assets.model.dimensions import Partition

WIDTH: Final = 4096
FULL: Final = (1 << WIDTH) - 1

Row = Partition
"""The values of every dimension but the axis."""

Blocks = dict[tuple[Row, int], int]
"""Bits by row and block number."""


def positions(bits: int) -> Iterator[int]:
    """Yields the positions of the set bits, lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def runs(numbers: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yields the start and length of each run of set bits, from numbered blocks."""
    for number, block in numbers:
        bits, ordinal = block, number * WIDTH
        while bits:
            gap = (bits & -bits).bit_length() - 1
            bits >>= gap
            length = (~bits & (bits + 1)).bit_length() - 1
            yield ordinal + gap, length
            bits >>= length
            ordinal += gap + length


def smear(bits: int, length: int) -> int:
    """Returns the bits together with their next `length - 1` higher neighbours, in log2 steps."""
    width = 1
    while width < length:
        step = min(width, length - width)
        bits |= bits << step
        width += step
    return bits


def put(blocks: Blocks, row: Row, ordinal: int, bits: int) -> None:
    """Adds bits to a row; the lowest bit stands for the ordinal."""
    number, offset = divmod(ordinal, WIDTH)
    bits <<= offset
    while bits:
        piece = bits & FULL
        if piece:
            blocks[row, number] = blocks.get((row, number), 0) | piece
        bits >>= WIDTH
        number += 1


def between(lowest: int, highest: int, number: int) -> int:
    """Returns the bits of a block that stand for ordinals from the lowest to the highest."""
    start = number * WIDTH
    mask = FULL
    if lowest > start:
        mask &= ~((1 << min(lowest - start, WIDTH)) - 1)
    if highest < start + WIDTH - 1:
        mask &= (1 << max(highest - start + 1, 0)) - 1
    return mask
