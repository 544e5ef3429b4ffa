"""The terminal output of `make run`: a line for each step, the banner, and announcements below it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ri_platform.announcements import find_announcement


class Terminal:
    """Prints whole lines from several threads, at once, and nothing that needs a real terminal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Announcements before the banner; None after it is printed.
        self._waiting: list[str] | None = []

    def say(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """`name …` at once, and the seconds that it took behind it."""
        begun = time.monotonic()
        print(f"{name} …", end="", flush=True)
        try:
            yield
        except BaseException:
            print(flush=True)
            raise
        print(f" {time.monotonic() - begun:.1f} s", flush=True)

    def banner(self, text: str) -> None:
        """Print the banner, then the announcements that came before it."""
        with self._lock:
            print(text, flush=True)
            for news in self._waiting or []:
                print(f"  {news}", flush=True)
            self._waiting = None

    def hear(self, line: str) -> None:
        """Show a child's log line below the banner if it is an announcement."""
        if news := find_announcement(line):
            self.tell(news)

    def tell(self, news: str) -> None:
        """Show a sentence below the banner."""
        with self._lock:
            if self._waiting is None:
                print(f"  {news}", flush=True)
            else:
                self._waiting.append(news)
