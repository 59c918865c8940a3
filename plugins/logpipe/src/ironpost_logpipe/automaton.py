"""Which texts patterns can match in common: their trees as automata, walked side by side."""

from __future__ import annotations

from ironpost_logpipe.syntax import Alt, Chars, Group, Node, Repeat, Seq, UnreadableError

_MOST_STATES = 1_000
_MOST_STEPS = 1_000_000


class Automaton:
    """The whole texts that a tree matches. Edges such as ``^`` hold anywhere here, so it never takes too few."""

    def __init__(self, node: Node) -> None:
        self._moves: list[list[tuple[int, int]]] = []
        self._free: list[list[int]] = []
        self.end = self._state()
        self.start = self._add(node, self.end)
        self._reach = [self._closure(state) for state in range(len(self._free))]

    def _state(self) -> int:
        if len(self._free) >= _MOST_STATES:
            raise UnreadableError("is too large to be checked")
        self._moves.append([])
        self._free.append([])
        return len(self._free) - 1

    def _add(self, node: Node, after: int) -> int:
        """The state from which `node` leads to `after`."""
        if isinstance(node, Chars):
            state = self._state()
            self._moves[state].append((node.of, after))
            return state
        if isinstance(node, Seq):
            for part in reversed(node.parts):
                after = self._add(part, after)
            return after
        if isinstance(node, Alt):
            state = self._state()
            self._free[state] += [self._add(branch, after) for branch in node.branches]
            return state
        if isinstance(node, Repeat):
            return self._repeat(node, after)
        return self._add(node.node, after) if isinstance(node, Group) else after

    def _repeat(self, node: Repeat, after: int) -> int:
        if node.most is None:
            loop = self._state()
            self._free[loop] += [after, self._add(node.node, loop)]
            after = loop
        for _ in range((node.most or node.least) - node.least):
            state = self._state()
            self._free[state] += [after, self._add(node.node, after)]
            after = state
        for _ in range(node.least):
            after = self._add(node.node, after)
        return after

    def _closure(self, state: int) -> tuple[list[tuple[int, int]], bool]:
        """The moves from a state and from those that are reached for free; whether the end is among them."""
        seen, left = {state}, [state]
        while left:
            for each in self._free[left.pop()]:
                if each not in seen:
                    seen.add(each)
                    left.append(each)
        return [move for each in seen for move in self._moves[each]], self.end in seen

    def step(self, state: int) -> tuple[list[tuple[int, int]], bool]:
        """What can come next: sets of bytes with the states they lead to; whether the text may end here."""
        return self._reach[state]


def share(one: Node, other: Node) -> bool:
    """Whether some text is matched by both, as a whole.

    Raises:
        UnreadableError: they are too large.
    """
    first, second = Automaton(one), Automaton(other)
    seen = {(first.start, second.start)}
    left = [*seen]
    steps = 0
    while left:
        here, there = left.pop()
        (moves, ends), (others, other_ends) = first.step(here), second.step(there)
        if ends and other_ends:
            return True
        steps += len(moves) * len(others)
        if steps > _MOST_STEPS:
            raise UnreadableError("is too large to be checked")
        fresh = {(a, b) for mine, a in moves for theirs, b in others if mine & theirs} - seen
        seen |= fresh
        left += fresh
    return False


def starts(node: Node) -> int:
    """The bytes that a text it matches can begin with; none for the empty text."""
    automaton = Automaton(node)
    found = 0
    for of, _ in automaton.step(automaton.start)[0]:
        found |= of
    return found
