"""Results that depend on nothing but their key, remembered by a process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[V]):
    """The last results by key, at most `size` of them. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._found: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, key: Hashable, make: Callable[[], V]) -> V:
        """What was made for the key before, else what `make` makes now; what raises is not remembered."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._size:
                self._found.popitem(last=False)
        return made

    def recall_all(self, keys: Sequence[K], make: Callable[[list[K]], Mapping[K, V]]) -> dict[K, V]:
        """What was made for each of the keys, in their order; `make` makes all that are new at once.

        A key for which it makes nothing is left out.
        """
        found: dict[K, V] = {}
        with self._lock:
            for key in keys:
                if key in self._found:
                    self._found.move_to_end(key)
                    found[key] = self._found[key]
        new = [key for key in keys if key not in found]
        if not new:
            return found
        made = make(new)
        with self._lock:
            self._found.update(made.items())
            while len(self._found) > self._size:
                self._found.popitem(last=False)
        found |= made
        return {key: found[key] for key in keys if key in found}
