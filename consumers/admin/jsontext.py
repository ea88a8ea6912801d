"""JSON laid out for reading, as it was written: numbers keep their digits, repeated names stay, and what a consumer
redacts is masked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from consumers.pipeline.mask import MASK

Path = tuple[str | int, ...]
"""Names and places that lead from the root to a value inside."""


class _Literal(str):
    """A number, NaN or Infinity, digit by digit: no rounding, no limit on its length."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object's members in their order, repeated names included."""


class Layout(NamedTuple):
    """A document laid out: its text, whether that is all of it, and where in it the marked part begins and ends."""

    text: str
    is_complete: bool
    mark: tuple[int, int] | None = None


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

    def members(self) -> list[tuple[str, Json]]:
        """The names of an object's members and their values; empty for anything else."""
        pairs = self._root if isinstance(self._root, _Pairs) else ()
        return [(name, self._of(value)) for name, value in pairs]

    def compact(self, masked: Collection[str] = ()) -> str:
        """The document in one line, its texts and numbers as they were written, members named in `masked` masked."""
        return "".join(_layout(self._root, frozenset(masked), None, breaks=False))

    @classmethod
    def _of(cls, root: Any) -> Json:
        document = cls.__new__(cls)
        document._root = root
        return document

    def pretty(self, masked: Collection[str], limit: int, marked: Path | None = None) -> Layout:
        """The layout, at most `limit` characters of it. Members named in `masked` are masked at every depth; the place
        of what `marked` leads to is told."""
        pieces: list[str] = []
        length, begin, end = 0, None, None
        for piece in _layout(self._root, frozenset(masked), marked or None):
            if isinstance(piece, _Mark):
                begin, end = (length, end) if piece.begins else (begin, length)
                continue
            pieces.append(piece)
            length += len(piece)
            if length > limit:
                break
        mark = None if begin is None else (min(begin, limit), limit if end is None else min(end, limit))
        return Layout("".join(pieces)[:limit], length <= limit, mark)

    def has_member(self, names: Collection[str]) -> bool:
        """Whether a member has one of these names, at any depth."""
        waiting = [self._root]
        while waiting:
            value = waiting.pop()
            if isinstance(value, _Pairs):
                if any(name in names for name, _ in value):
                    return True
                waiting += [member for _, member in value]
            elif isinstance(value, list):
                waiting += value
        return False

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


def _layout(root: Any, masked: frozenset[str], marked: Path | None, *, breaks: bool = True) -> Iterator[Any]:
    """Pieces of text, and marks. A stack of its own instead of recursion, so that no depth that was parsed is too deep
    here."""
    opened = [_pieces(_Value(root, marked), masked)]
    while opened:
        piece = next(opened[-1], None)
        if piece is None:
            opened.pop()
        elif isinstance(piece, _Break):
            yield "\n" + "  " * (len(opened) - piece.outdent) if breaks else ""
        elif isinstance(piece, _Value):
            opened.append(_pieces(piece, masked))
        else:
            yield piece


class _Break(NamedTuple):
    """A line's end; the next one is indented by the depth less `outdent`."""

    outdent: int


class _Mark(NamedTuple):
    """The beginning or the end of what is marked."""

    begins: bool


class _Value(NamedTuple):
    """A value to lay out, with the rest of the path to what is marked, if that lies in it."""

    value: Any
    marked: Path | None = None


def _pieces(within: _Value, masked: frozenset[str]) -> Iterator[Any]:
    """What one value is written as: texts, breaks and marks, and the values inside of it."""
    value, marked = within
    if isinstance(value, _Pairs):
        return _members(value, masked, marked)
    if isinstance(value, list):
        return _items(value, marked)
    return iter([_scalar(value)])


def _scalar(value: Any) -> str:
    return value if isinstance(value, _Literal) else json.dumps(value, ensure_ascii=False)


def _members(pairs: _Pairs, masked: frozenset[str], marked: Path | None) -> Iterator[Any]:
    yield "{"
    for at, (name, value) in enumerate(pairs):
        yield "," if at else ""
        yield _Break(0)
        shown = json.dumps(MASK) if name in masked else _Value(value, _below(marked, name))
        yield from _marked([json.dumps(name, ensure_ascii=False) + ": ", shown], is_it=marked == (name,))
    if pairs:
        yield _Break(1)
    yield "}"


def _items(items: list[Any], marked: Path | None) -> Iterator[Any]:
    yield "["
    for at, value in enumerate(items):
        yield "," if at else ""
        yield _Break(0)
        yield from _marked([_Value(value, _below(marked, at))], is_it=marked == (at,))
    if items:
        yield _Break(1)
    yield "]"


def _below(marked: Path | None, step: str | int) -> Path | None:
    """The rest of the path behind this step, if it leads there."""
    return marked[1:] if marked and len(marked) > 1 and marked[0] == step else None


def _marked(pieces: list[Any], *, is_it: bool) -> list[Any]:
    return [_Mark(True), *pieces, _Mark(False)] if is_it else pieces
