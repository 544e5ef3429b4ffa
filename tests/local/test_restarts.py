"""When a service is started again, and when it is given up."""

from __future__ import annotations

from ri_platform.local.restarts import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_ENDS,
    STEADY_SECONDS,
    End,
    GivenUp,
    Restarts,
    StartFailed,
)


class Weak:
    """A service that ends when told to."""

    name = "weak"

    def __init__(self) -> None:
        self.ended, self.starts, self.refuses = False, 0, False
        self.how = End("ended with status 1")

    def end(self) -> End | None:
        return self.how if self.ended else None

    def start_again(self) -> None:
        self.starts += 1
        if self.refuses:
            raise StartFailed("no room")
        self.ended = False

    def last_words(self) -> str:
        return "the reason"


class Time:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def kept() -> tuple[Weak, Restarts, Time, list[str]]:
    service, clock, told = Weak(), Time(), list[str]()
    return service, Restarts(service, told.append, clock), clock, told


def test_the_pause_grows_with_each_end_and_then_the_service_is_given_up() -> None:
    service, restarts, clock, told = kept()
    pauses = []
    for _ in range(MOST_ENDS - 1):
        service.ended = True
        assert restarts.look() is None
        begun = clock.now
        while service.ended:
            clock.now += 0.25
            assert restarts.look() is None
        pauses.append(clock.now - begun)
    assert pauses == [FIRST_PAUSE * 2**number for number in range(MOST_ENDS - 1)]
    service.ended = True
    assert restarts.look() == GivenUp("weak", "ended with status 1", "the reason")
    assert len(told) == MOST_ENDS - 1


def test_a_service_that_was_steady_begins_anew() -> None:
    service, restarts, clock, told = kept()
    for _ in range(3 * MOST_ENDS):
        clock.now += STEADY_SECONDS
        service.ended = True
        assert restarts.look() is None
        clock.now += FIRST_PAUSE
        assert restarts.look() is None
        assert not service.ended
    assert set(told) == {"weak ended with status 1. It is started again in 0.5 s."}


def test_a_service_that_signals_end_is_started_again_ever_more_slowly_and_never_given_up() -> None:
    """Three builds that each kill three workers are more ends than a service may have of its own."""
    service, restarts, clock, told = kept()
    service.how = End("was ended by the signal SIGKILL", by_signal=True)
    for _ in range(3 * MOST_ENDS):
        service.ended = True
        assert restarts.look() is None
        clock.now += LONGEST_PAUSE
        assert restarts.look() is None
        assert not service.ended
    assert (
        told[-1]
        == f"weak was ended by the signal SIGKILL. It is started again in {LONGEST_PAUSE:g} s."
    )
    # Ends of its own are counted by themselves.
    service.how = End("ended with status 1")
    given_up = None
    for number in range(MOST_ENDS):
        assert given_up is None, f"given up after {number} ends of its own"
        service.ended = True
        given_up = restarts.look()
        clock.now += LONGEST_PAUSE
        restarts.look()
    assert given_up == GivenUp("weak", "ended with status 1", "the reason")


def test_a_start_that_fails_counts_as_an_end_and_says_why() -> None:
    service, restarts, clock, told = kept()
    service.ended = service.refuses = True
    given_up = None
    while given_up is None:
        clock.now += LONGEST_PAUSE
        given_up = restarts.look()
    assert given_up.how == "could not be started (no room)"
    assert told[1] == "weak could not be started (no room). It is started again in 1 s."
