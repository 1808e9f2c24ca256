"""Writes a pickle in canonical form, so that the same code recorded by two processes has the same content address.

A pickle records which equal strings were one object, and lists sets in hash order. Both differ between processes:
a freshly compiled module shares strings that the same module does not share when it is read from its `.pyc`.
"""

from __future__ import annotations

import pickle
import pickletools
from itertools import pairwise

_ATOMS = {"SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"}
_LONGEST_ATOM = 512  # a longer constant is worth sharing
_OLD_MEMO = {"PUT", "BINPUT", "LONG_BINPUT", "GET"}  # only in protocols before 4
_CLOSES_MARK = {operation.name for operation in pickletools.opcodes if pickletools.markobject in operation.stack_before}


def canonical(pickled: bytes) -> bytes:
    """Returns an equal pickle in which each short string is written out at each use, and sets are sorted.

    >>> words = ["day", "day"]
    >>> one, two = pickle.dumps(words, protocol=5), pickle.dumps(["day", "".join("day")], protocol=5)
    >>> canonical(one) == canonical(two), pickle.loads(canonical(two)) == words
    (True, True)
    """
    operations = list(pickletools.genops(pickled))
    ends = [*(position for _, _, position in operations), len(pickled)]
    if any(operation.name in _OLD_MEMO for operation, _, _ in operations):
        return pickled
    writer = _Writer()
    for (operation, argument, _), (start, end) in zip(operations, pairwise(ends), strict=True):
        writer.write(operation.name, argument, pickled[start:end])
    return b"".join(writer.chunks)


class _Writer:
    """Copies one operation at a time; memo numbers shift, because strings no longer have one."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self._is_atom: list[bool] = []
        self._marks: list[int] = []
        self._memo: list[bytes | int] = []  # per old number: an atom, or the new number
        self._numbers = 0

    def write(self, name: str, argument: object, raw: bytes) -> None:
        """Writes the next operation of the source."""
        if name == "FRAME":
            return
        if name == "MEMOIZE":
            self._memoize(raw)
        elif name in {"BINGET", "LONG_BINGET"} and isinstance(argument, int):
            self._get(self._memo[argument])
        else:
            if name == "MARK":
                self._marks.append(len(self.chunks))
            elif name in _CLOSES_MARK:
                self._close(name)
            self._put(raw, atom=name in _ATOMS and len(raw) <= _LONGEST_ATOM)

    def _put(self, raw: bytes, atom: bool = False) -> None:
        self.chunks.append(raw)
        self._is_atom.append(atom)

    def _memoize(self, raw: bytes) -> None:
        if self._is_atom[-1]:
            self._memo.append(self.chunks[-1])
        else:
            self._memo.append(self._numbers)
            self._numbers += 1
            self._put(raw)

    def _get(self, target: bytes | int) -> None:
        if isinstance(target, bytes):
            self._put(target, atom=True)
        elif target < 256:
            self._put(pickle.BINGET + target.to_bytes(1, "little"))
        else:
            self._put(pickle.LONG_BINGET + target.to_bytes(4, "little"))

    def _close(self, name: str) -> None:
        first = self._marks.pop() + 1
        if name in {"FROZENSET", "ADDITEMS"} and all(self._is_atom[first:]):
            self.chunks[first:] = sorted(self.chunks[first:])
