"""The accepted calls about an image, and the ends that they allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

READY, FAILED = "STATUS_READY", "STATUS_FAILED"
# Shown no more: it can be restored, or is deleted for good.
REMOVED, GONE = "removed", "gone"
# How each verb is asked for by REST.
VERBS = {
    "create": ("POST", ""),
    "alter": ("PATCH", ""),
    "rebuild": ("POST", ":rebuild"),
    "roll back": ("POST", ":rollBack"),
    "cancel": ("POST", ":cancel"),
    "remove": ("DELETE", ""),
    "restore": ("POST", ":restore"),
    "delete": ("POST", ":delete"),
}
# These end the build that is under way, so what was asked for last may not be what is installed.
STOPPING = {"cancel", "remove"}
# The base images bring them (`tests.images.building.bases.layouts`, and Debian).
OF_THE_BASE = {"six", "pip", "setuptools", "wheel"}
# What the text of an unhandled error has, whatever it is that broke; no fault may be told so.
BROKE = "broke on the platform's side"


@dataclass(frozen=True)
class Call:
    """An accepted call: somewhere between these moments it took effect. `libraries` are those that the image
    is to have by it; None leaves them.
    """

    verb: str
    began: float
    ended: float
    libraries: frozenset[str] | None = None


def last_of(calls: Iterable[Call]) -> list[Call]:
    """Those of which each may have been the last one: no other began after it had ended."""
    known = list(calls)
    return [call for call in known if not any(other.began > call.ended for other in known)]


@dataclass
class Asked:
    """All accepted calls about one image. `failures` are the codes of errors that the fault may be told by;
    with `must_fail` it has to be.
    """

    failures: frozenset[str] = frozenset()
    must_fail: bool = False
    calls: list[Call] = field(default_factory=list)

    @property
    def ends(self) -> set[str]:
        """What it may have come to, but for failures: the last call decides; nothing follows a deletion."""
        if any(call.verb == "delete" for call in self.calls):
            return {GONE}
        return {REMOVED if call.verb == "remove" else READY for call in last_of(self.calls)}

    @property
    def wanted(self) -> set[frozenset[str]]:
        """The libraries that its owner asked for last."""
        return self._libraries(last_of(call for call in self.calls if call.libraries is not None))

    @property
    def installed(self) -> set[frozenset[str]]:
        """The libraries that may be in it."""
        stopped = any(call.verb in STOPPING for call in self.calls)
        return self._libraries(self.calls) if stopped else self.wanted

    @staticmethod
    def _libraries(calls: Iterable[Call]) -> set[frozenset[str]]:
        return {call.libraries for call in calls if call.libraries is not None}

    def problems(self, image: dict[str, Any] | None, *, removed: bool) -> list[str]:
        """What is wrong with the image as REST shows it, if it does; `removed`: it can be restored."""
        end = image["status"] if image else REMOVED if removed else GONE
        if end == FAILED and (self.failures or self.must_fail):
            return [*self._wrong_failure(image), *self._wrong_request(image)]
        if self.must_fail or end not in self.ends:
            legal = FAILED if self.must_fail else " or ".join(sorted(self.ends))
            return [f"ended as {end}, not as {legal}: {error_of(image)}"]
        return self._wrong_request(image) + self._wrong_contents(image)

    def _wrong_failure(self, image: dict[str, Any] | None) -> list[str]:
        error = error_of(image)
        if not error.get("message"):
            return ["failed without a reason"]
        if error["reason"] not in self.failures or BROKE in error["message"]:
            return [f"failed for another reason than the fault: {error}"]
        return []

    def _wrong_request(self, image: dict[str, Any] | None) -> list[str]:
        if image is None:
            return []
        found = frozenset(item["name"] for item in image["pipRequirements"])
        return (
            []
            if found in self.wanted
            else [f"asks for {in_words(found)}, not {in_words(*self.wanted)}"]
        )

    def _wrong_contents(self, image: dict[str, Any] | None) -> list[str]:
        if image is None:
            return []
        found = frozenset(item["name"] for item in image["pipLibraries"]) - OF_THE_BASE
        legal = self.installed
        return (
            [] if found in legal else [f"has {in_words(found)} installed, not {in_words(*legal)}"]
        )


def in_words(*libraries: frozenset[str]) -> str:
    return " or ".join(sorted(" ".join(sorted(some)) or "none" for some in libraries))


def error_of(image: dict[str, Any] | None) -> dict[str, Any]:
    error: dict[str, Any] = ((image or {}).get("latestBuild") or {}).get("error") or {}
    return error
