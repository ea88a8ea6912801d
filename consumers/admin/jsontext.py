"""JSON laid out for reading, as it was written: numbers keep their digits, repeated names stay, and what a consumer
redacts is masked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

MASK = "[redacted]"


class _Literal(str):
    """A number, NaN or Infinity, digit by digit: no rounding, no limit on its length."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object's members in their order, repeated names included."""


class Json:
    """A parsed document. Its `is_object` tells whether fields can be masked by name at all."""

    def __init__(self, text: str) -> None:
        """Raises ValueError where `text` is not JSON, or is nested deeper than can be parsed."""
        try:
            self._root = json.loads(
                text, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal, object_pairs_hook=_Pairs
            )
        except RecursionError:
            raise ValueError("nested too deeply") from None

    @property
    def is_object(self) -> bool:
        return isinstance(self._root, _Pairs)

    def pretty(self, masked: Collection[str], limit: int) -> tuple[str, bool]:
        """The layout, at most `limit` characters of it, and whether that is all. Members named in `masked` are masked
        at every depth."""
        pieces: list[str] = []
        length = 0
        for piece in _layout(self._root, frozenset(masked)):
            pieces.append(piece)
            length += len(piece)
            if length > limit:
                return "".join(pieces)[:limit], False
        return "".join(pieces), True

    def values_of(self, names: Collection[str]) -> set[str]:
        """The texts and numbers that stand under these names, at any depth."""
        found: set[str] = set()
        waiting = [(self._root, False)]
        while waiting:
            value, wanted = waiting.pop()
            if isinstance(value, _Pairs):
                waiting += [(member, wanted or name in names) for name, member in value]
            elif isinstance(value, list):
                waiting += [(member, wanted) for member in value]
            elif wanted and isinstance(value, str):
                found.add(str(value))
        return found


def _layout(root: Any, masked: frozenset[str]) -> Iterator[str]:
    """Pieces of text. A stack of its own instead of recursion, so that no depth that was parsed is too deep here."""
    opened = [_pieces(root, masked)]
    while opened:
        piece = next(opened[-1], None)
        if piece is None:
            opened.pop()
        elif isinstance(piece, _Break):
            yield "\n" + "  " * (len(opened) - piece.outdent)
        elif isinstance(piece, _Literal) or type(piece) is str:
            yield piece
        else:
            opened.append(_pieces(piece, masked))


class _Break(NamedTuple):
    """A line's end; the next one is indented by the depth less `outdent`."""

    outdent: int


def _pieces(value: Any, masked: frozenset[str]) -> Iterator[Any]:
    """What one value is written as: texts and breaks, and containers for the values inside it."""
    if isinstance(value, _Pairs):
        return _members(value, masked)
    if isinstance(value, list):
        return _items(value)
    return iter([_scalar(value)])


def _scalar(value: Any) -> str:
    return value if isinstance(value, _Literal) else json.dumps(value, ensure_ascii=False)


def _members(pairs: _Pairs, masked: frozenset[str]) -> Iterator[Any]:
    yield "{"
    for at, (name, value) in enumerate(pairs):
        yield "," if at else ""
        yield _Break(0)
        yield json.dumps(name, ensure_ascii=False) + ": "
        if name in masked:
            yield json.dumps(MASK)
        else:
            yield value if isinstance(value, list) else _scalar(value)
    if pairs:
        yield _Break(1)
    yield "}"


def _items(items: list[Any]) -> Iterator[Any]:
    yield "["
    for at, value in enumerate(items):
        yield "," if at else ""
        yield _Break(0)
        yield value if isinstance(value, list) else _scalar(value)
    if items:
        yield _Break(1)
    yield "]"
