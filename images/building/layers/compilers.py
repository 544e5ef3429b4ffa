"""Several bytecode compilers, shared by the processes that make layers.

A slot is a pair of pipes with a compiler at its other end (`images.building.layers.bytecode`). Each process
that makes layers has a slot of its own, and takes further ones while nobody else does: their numbers lie in
a pipe, as the tokens of GNU make's job server do. Requests wait in a slot's pipe and answers in the other,
so a compiler works ahead while the process that asks it writes what came before.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

from images.building.layers import bytecode
from images.building.layers.bytecode import _HEADER, _LENGTH

# What is asked for of a pipe; an ordinary user may have 64 MB in all pipes together (pipe(7)).
PIPE_BYTES = 1 << 20
# A further compiler is taken once each of those at work has that much before it, in bytes of source.
BACKLOG = 64 << 10
MAX_SLOTS = 100


class Compiled:
    """The `.pyc` of one source, or None if it does not compile; known once it is `done`."""

    def __init__(self, size: int = 0, slot: Slot | None = None) -> None:
        self.size = size
        self.slot = slot
        self.done = False
        self.bytecode: bytes | None = None


@dataclass
class Slot:
    """Our ends of a compiler's pipes, and what was asked and is not answered yet, in bytes and in order."""

    number: int
    requests: int
    answers: IO[bytes]
    capacity: int = 0
    waiting: deque[Compiled] = field(default_factory=deque)
    unanswered: int = 0

    def has_room(self, size: int) -> bool:
        """Whether as much can be written without waiting for the compiler."""
        return self.unanswered + size <= self.capacity

    def ask(self, request: bytes, asked: Compiled) -> None:
        rest = memoryview(request)
        try:
            while rest:
                rest = rest[os.write(self.requests, rest) :]
        except BrokenPipeError as error:
            raise death_of_compiler() from error
        self.unanswered += asked.size
        self.waiting.append(asked)

    def receive(self) -> None:
        """Take the answer to the oldest request; waits for it."""
        answered = self.waiting.popleft()
        header = self.answers.read(_LENGTH.size)
        if len(header) < _LENGTH.size:
            raise death_of_compiler()
        size = _LENGTH.unpack(header)[0]
        found = self.answers.read(size)
        if len(found) < size:
            raise death_of_compiler()
        answered.bytecode, answered.done = found or None, True
        self.unanswered -= answered.size


def death_of_compiler() -> ChildProcessError:
    return ChildProcessError("the bytecode compiler ended")


class Compilers:
    """The compilers for one Python: `own` slots, one for each process, and some that are `shared`.

    Processes that are forked from this one hold the same slots; `session` names whose slot it is.
    """

    def __init__(self, interpreter: str, own: int = 1, shared: int = 0) -> None:
        self._slots: list[Slot] = []
        theirs: list[tuple[int, int]] = []
        for number in range(min(own + shared, MAX_SLOTS)):
            (their_in, requests), (answers, their_out) = os.pipe(), os.pipe()
            capacity = min(map(widen_pipe, (requests, answers)))
            # Half of it holds for sure: a write that does not fit beside the one before begins a page.
            self._slots.append(Slot(number, requests, os.fdopen(answers, "rb"), capacity // 2))
            theirs.append((their_in, their_out))
        self._free_out, self._free = os.pipe()
        os.set_blocking(self._free_out, False)
        os.write(self._free, bytes(range(own, len(self._slots))))
        self._process = subprocess.Popen(
            [interpreter, "-s", "-S", "-B", os.path.abspath(bytecode.__file__),
             *(f"{stdin},{stdout}" for stdin, stdout in theirs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[end for pair in theirs for end in pair],
            env={"PYTHONHASHSEED": "0"},
            cwd="/",
        )  # fmt: skip
        for pair in theirs:
            for end in pair:
                os.close(end)

    @contextmanager
    def session(self, own: int = 0) -> Iterator[Session]:
        """Compilers for one layer, whose processes compile nothing else."""
        session = Session(self, self._slots[own])
        try:
            yield session
        finally:
            session.end()

    def take_free(self) -> Slot | None:
        """A shared slot, if one is free."""
        try:
            number = os.read(self._free_out, 1)
        except BlockingIOError:
            return None
        return self._slots[number[0]] if number else None

    def give_back(self, slot: Slot) -> None:
        os.write(self._free, bytes([slot.number]))

    def close(self) -> None:
        """End the compilers. Processes that hold the same slots must have ended."""
        for slot in self._slots:
            os.close(slot.requests)
            slot.answers.close()
        os.close(self._free)
        os.close(self._free_out)
        self._process.wait()


def widen_pipe(pipe: int) -> int:
    """The bytes that a pipe holds, after it was asked to hold more."""
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return int(fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))


class Session:
    """Compiling for one layer. Not thread-safe."""

    def __init__(self, compilers: Compilers, own: Slot) -> None:
        self._compilers = compilers
        self._slots = [own]
        self._begun: set[int] = set()

    def submit(self, source: bytes, path: str) -> Compiled:
        """Have a source compiled that will stand at `path`; the answer comes by `result`."""
        name = path.encode("utf-8")
        request = _HEADER.pack(len(name), len(source)) + name + source
        asked = Compiled(len(request))
        slot = min(self._slots, key=lambda slot: slot.unanswered)
        if slot.unanswered > BACKLOG and (further := self._compilers.take_free()):
            self._slots.append(further)
            slot = further
        while slot.waiting and not slot.has_room(len(request)):
            slot.receive()
        asked.slot = slot
        self._begun.add(slot.number)
        slot.ask(request, asked)
        return asked

    def result(self, asked: Compiled) -> bytes | None:
        """The `.pyc`, or None if the source does not compile; waits for it."""
        while not asked.done:
            assert asked.slot is not None
            asked.slot.receive()
        return asked.bytecode

    def end(self) -> None:
        """Give the slots back. Each compiler that was asked makes room for a new one."""
        for slot in self._slots:
            if slot.number in self._begun:
                while slot.waiting:
                    slot.receive()
                slot.ask(_HEADER.pack(0, 0), Compiled())
                slot.receive()
        for slot in self._slots[1:]:
            self._compilers.give_back(slot)
