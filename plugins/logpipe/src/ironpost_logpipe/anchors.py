r"""Which patterns may say whom a line accuses.

Whoever is logged chooses a part of the line: a name, a path. A pattern that catches `source_ip` must find the true
address whatever that part is, or nothing. So

- it is anchored: its first item is ``^`` and its last ``$``, each for the whole of it;
- the group is not repeated, and stands between characters that no address and no host name has. Else it could catch a
  part of one: ``1.2.3.4`` of ``1.2.3.4.example``;
- there is one way to take the line. Either what follows the group can't hold a second address that is written like the
  first; then an address that was smuggled in before the true one is never taken. Or what stands before the group is
  fixed; then one smuggled in behind it is never taken. Or the last free text before the group takes all it can
  (``.*``): then the last address that fits is taken.

That holds for messages that the pattern was written for: those of which it finds the true address when nobody is up to
anything. It can't be seen here whether others can be made to look like them: with free text before the group
(`free_texts`), by a text behind the true address that somebody can choose. Only the rule's own tests show that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from ironpost_logpipe.automaton import share, starts
from ironpost_logpipe.patterns import Pattern
from ironpost_logpipe.syntax import (
    ALL,
    DIGITS,
    LOWER,
    NEWLINE,
    UPPER,
    Alt,
    Chars,
    Edge,
    Group,
    Node,
    Repeat,
    Seq,
    UnreadableError,
    chars,
    read,
)

#: What stands right before the group in one of the ways through a pattern; None in front of it: the line's start.
_Fence: TypeAlias = tuple[int | None, ...]

_NAME = DIGITS | LOWER | UPPER | chars("._-")
_IN_ADDRESS = DIGITS | chars("abcdefABCDEF.:")
_ADDRESS = Repeat(Chars(_IN_ADDRESS), 3, None, True)
_ANYTHING = Repeat(Chars(ALL), 0, None, True)
_LETTERS = LOWER & ~chars("abcdef")
#: A shorter text holds no address with something around it.
_ROOM = 7
_FENCE = 16
_MOST_FENCES = 64
_PREFIX = "a pattern that catches source_ip "


class _FaultError(Exception):
    pass


@attrs.frozen
class _Place:
    """Where the group stands: what is before it and behind it, from the outside to the inside."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]


def source_pattern_fault(pattern: Pattern) -> str:
    """Why a pattern may not feed `source_ip`, or nothing."""
    try:
        place = _place(pattern)
        fences = _fences(place.before)
        _check_fences(fences, Seq(place.after))
        if _second_address(fences, Seq(place.after)):
            _check_greed(place)
    except UnreadableError as error:
        return f"{_PREFIX}must be understood to be safe, but this one {error}"
    except _FaultError as fault:
        return _PREFIX + str(fault)
    return ""


def free_texts(pattern: Pattern) -> tuple[bool, bool]:
    """Whether there is free text before the group, and behind it, in a pattern without a fault."""
    place = _place(pattern)
    return bool(_last_texts(place.before)[0]), bool(_last_texts(place.after)[0])


def _place(pattern: Pattern) -> _Place:
    tree = read(pattern.pattern)
    if isinstance(tree, Alt):
        raise _FaultError("must not have | outside of brackets: ^ and $ hold for one side only")
    parts = tree.parts if isinstance(tree, Seq) else (tree,)
    if len(parts) < 2 or parts[0] != Edge("start") or parts[-1] != Edge("end"):
        raise _FaultError("must be anchored: begin it with ^ and end it with $, neither of them repeated")
    found = _split(Seq(parts[1:-1]))
    if found is None:
        raise _FaultError("must catch it outside of repetitions: the last one would count")
    return found


def _split(node: Node) -> _Place | None:
    if isinstance(node, Group):
        return _Place((), ()) if node.name == "source_ip" else _split(node.node)
    if isinstance(node, Repeat):
        return _split(node.node) if node.most == 1 else None
    if isinstance(node, Alt):
        return next(filter(None, map(_split, node.branches)), None)
    for place, part in enumerate(node.parts if isinstance(node, Seq) else ()):
        if (inner := _split(part)) is not None:
            parts = node.parts  # type: ignore[union-attr]  # only a Seq has got here
            return _Place((*parts[:place], *inner.before), (*inner.after, *parts[place + 1 :]))
    return None


def _fences(before: Sequence[Node]) -> set[_Fence]:
    """The fixed characters right before the group, of each way through what is before it."""
    fences: set[_Fence] = {()}
    done: set[_Fence] = set()
    for node in reversed(before):
        longer: set[_Fence] = set()
        for fence in fences:
            for piece, goes_on in _endings(node):
                (longer if goes_on and len(piece + fence) < _FENCE else done).add(piece + fence)
        fences = longer
        if len(fences) + len(done) > _MOST_FENCES:
            raise UnreadableError("has too many ways to its source_ip")
    return done | {(None, *fence) for fence in fences}


def _endings(node: Node) -> Iterator[tuple[tuple[int, ...], bool]]:
    """The fixed characters at a node's end, with whether that is all of it."""
    if isinstance(node, Chars):
        yield (node.of,), True
    elif isinstance(node, Edge):
        yield (), True
    elif isinstance(node, Group):
        yield from _endings(node.node)
    elif isinstance(node, Alt):
        for branch in node.branches:
            yield from _endings(branch)
    elif isinstance(node, Seq):
        for fence in _fences(node.parts):
            yield (fence[1:], True) if fence[:1] == (None,) else (fence, False)  # type: ignore[misc]
    else:
        yield from _endings_of_repeat(node)


def _endings_of_repeat(node: Repeat) -> Iterator[tuple[tuple[int, ...], bool]]:
    once = node.most == 1
    if node.least == 0:
        yield (), True
    for piece, goes_on in _endings(node.node):
        yield piece, goes_on and once


def _check_fences(fences: set[_Fence], after: Node) -> None:
    for fence in fences:
        last = fence[-1] if fence else _NAME
        if last is not None and (last & _NAME or all(each is None or each & _IN_ADDRESS for each in fence)):
            raise _FaultError(
                "needs a fixed character before it that no address and no name has, such as a blank: "
                "else it catches a part of one"
            )
    if starts(after) & _NAME:
        raise _FaultError(
            "needs a fixed character behind it that no address and no name has, such as a blank: "
            "else it catches a part of one"
        )


def _second_address(fences: set[_Fence], after: Node) -> bool:
    """Whether what follows the group can hold another address, fenced and followed as the first."""
    for fence in fences:
        if fence[:1] == (None,):
            continue  # all before it is fixed
        fixed = tuple(Chars(each) for each in fence if each is not None)
        if share(after, Seq((_ANYTHING, *fixed, _ADDRESS, after))):
            return True
    return False


def _check_greed(place: _Place) -> None:
    for text in _last_texts(place.before)[0]:
        anything = isinstance(text.node, Chars) and text.node.of | NEWLINE == ALL
        if not (text.greedy and anything and text.most is None):
            raise _FaultError(
                "takes the line in more than one way: what follows source_ip can hold a second address. Let it not "
                "(with [^ ]* instead of .*, say), or fix what stands before source_ip, or take that greedily with .*"
            )


def _last_texts(nodes: Sequence[Node]) -> tuple[list[Repeat], bool]:
    """The last free texts of each way through some nodes; and whether there is a way without any."""
    texts: list[Repeat] = []
    for node in reversed(nodes):
        found, without = _texts_of(node)
        texts += found
        if not without:
            return texts, False
    return texts, True


def _texts_of(node: Node) -> tuple[list[Repeat], bool]:
    if isinstance(node, Seq):
        return _last_texts(node.parts)
    if isinstance(node, Group):
        return _texts_of(node.node)
    if isinstance(node, Alt):
        each = [_texts_of(branch) for branch in node.branches]
        return [text for texts, _ in each for text in texts], any(without for _, without in each)
    if not isinstance(node, Repeat):
        return [], True
    if _is_text(node):
        return [node], False
    texts, without = _texts_of(node.node)
    return texts, without or node.least == 0


def _is_text(node: Repeat) -> bool:
    """Whether it stands for words of any length, which somebody may have chosen: not for digits, a date, a blank."""
    if node.most is not None and node.most - node.least < _ROOM:
        return False
    return bool(_alphabet(node.node) & _LETTERS == _LETTERS)


def _alphabet(node: Node) -> int:
    if isinstance(node, Chars):
        return node.of
    if isinstance(node, (Seq, Alt)):
        found = 0
        for each in node.parts if isinstance(node, Seq) else node.branches:
            found |= _alphabet(each)
        return found
    return _alphabet(node.node) if isinstance(node, (Group, Repeat)) else 0
