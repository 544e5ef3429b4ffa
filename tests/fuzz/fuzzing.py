"""How long is fuzzed, and what damages what is whole.

CI tries the same few dozen examples each time, `make fuzz SECONDS=600` new ones for so long, each target.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("RI_TEST_FUZZ_SECONDS", "0"))
EXAMPLES = 60


def fuzz(attempt: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Call `attempt` with examples of the strategies; what it raises is the finding."""
    limits = settings(
        max_examples=500 if SECONDS else EXAMPLES,
        derandomize=not SECONDS,
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if SECONDS else [])],
    )

    def one(*values: Any) -> None:
        attempt(*values)

    until = time.monotonic() + SECONDS
    while True:
        limits(given(st.tuples(*strategies))(lambda values: one(*values)))()
        if time.monotonic() >= until:
            return


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with pieces changed, cut out, doubled or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 16))
        match draw(st.sampled_from(("change", "cut", "double", "insert", "end"))):
            case "change":
                data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
            case "cut":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(max_size=16))
            case _:
                del data[at:]
    return bytes(data)


def damaged_text(whole: str) -> st.SearchStrategy[str]:
    return damaged(whole.encode()).map(lambda data: data.decode("utf-8", "replace"))


SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def altered(draw: st.DrawFn, whole: Any) -> Any:
    """A JSON value with some of its parts replaced by anything, or left out."""
    if draw(st.integers(0, 7)) == 0:
        return draw(JSON)
    if isinstance(whole, dict):
        kept = {
            key: draw(altered(value)) for key, value in whole.items() if draw(st.integers(0, 9))
        }
        return kept | draw(st.dictionaries(st.text(max_size=8), JSON, max_size=1))
    if isinstance(whole, list):
        return [draw(altered(value)) for value in whole for _ in range(draw(st.integers(0, 2)))]
    return whole
