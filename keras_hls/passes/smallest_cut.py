"""Choose between two states for many things at once, so that the least is paid for choices that don't fit together."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

Vertex = str | int


class Cut:
    """A network whose smallest cut leaves each thing, known by its name, on the near or on the far side.

    `START` is always near and `END` always far. The cut is found by augmenting paths (Edmonds and Karp 1972).
    """

    START: ClassVar[Vertex] = 0
    END: ClassVar[Vertex] = 1

    def __init__(self) -> None:
        #: By vertex, to which others more can flow, and how much; without limit as a number above all sums.
        self._room: dict[Vertex, dict[Vertex, int]] = {self.START: {}, self.END: {}}
        self._made = 2

    def penalty(self, near: Sequence[Vertex], far: Sequence[Vertex]) -> None:
        """Let 1 be paid if any of `near` is near while any of `far` is far."""
        if not near or not far:
            return
        first, second = self._made, self._made + 1
        self._made += 2
        self._edge(first, second, 1)
        for vertex in near:
            self._edge(vertex, first, 1 << 30)
        for vertex in far:
            self._edge(second, vertex, 1 << 30)

    def _edge(self, start: Vertex, end: Vertex, room: int) -> None:
        self._room.setdefault(start, {}).setdefault(end, 0)
        self._room.setdefault(end, {}).setdefault(start, 0)
        self._room[start][end] += room

    def far_side(self) -> set[Vertex]:
        """Return what is far in the smallest cut; of several such cuts, the one with the fewest."""
        while path := self._path():
            for start, end in zip(path, path[1:]):
                self._room[start][end] -= 1
                self._room[end][start] += 1
        found: set[Vertex] = {self.END}
        queue = deque(found)
        while queue:
            end = queue.popleft()
            for start in self._room[end]:
                if start not in found and self._room[start][end] > 0:
                    found.add(start)
                    queue.append(start)
        return found

    def _path(self) -> list[Vertex]:
        """A shortest way from start to end along which more can flow, or nothing."""
        came: dict[Vertex, Vertex] = {self.START: self.START}
        queue = deque([self.START])
        while queue and self.END not in came:
            start = queue.popleft()
            for end, room in self._room[start].items():
                if room > 0 and end not in came:
                    came[end] = start
                    queue.append(end)
        if self.END not in came:
            return []
        path = [self.END]
        while path[-1] != self.START:
            path.append(came[path[-1]])
        return path[::-1]
