"""Nothing outside `<prefix>/` is ever acted on."""

from __future__ import annotations

from typing import Any

import boto3
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.errors import RepositoryOutsidePrefix
from images.registry import naming
from images.registry.distribution.client import RegistryClient
from images.registry.ecr.repositories import RepositoryControl

PREFIX = "team-images"

CONTROL = RepositoryControl(
    prefix=PREFIX,
    region="us-east-1",
    session=boto3.Session(aws_access_key_id="x", aws_secret_access_key="y"),
)
SENT: list[Any] = []
CONTROL.client.meta.events.register("before-call.ecr", lambda **kwargs: SENT.append(kwargs))

OUTSIDE = [
    "",
    "team-images",
    "team-images/",
    "team-imagesx/a",
    "other/a",
    "/team-images/a",
    "team-images/../other",
    "team-images/./a",
    "team-images//a",
    "team-images/a/",
    "team-images/A",
    "Team-images/a",
    "team-images/a\n",
    "team-images/a b",
    "team-images/a%2f..",
    "team-images/\u0430",
    "team\u2010images/a",
    "team-images/a:tag",
    "team-images/a@sha256:00",
    "team-images/a?x",
    "team-images/a#x",
    "team-images/.a",
    "team-images/-a",
    "team-images/a..b",
    "team-images/" + "a" * 256,
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_outside_are_refused(name: str) -> None:
    with pytest.raises(RepositoryOutsidePrefix):
        naming.guard(PREFIX, name)


@given(
    st.text(alphabet=st.sampled_from("team-images/abAB._:%@\n .\u00e9"), max_size=40) | st.text()
)
@pytest.mark.slow
def test_whatever_passes_is_under_the_prefix(name: str) -> None:
    try:
        passed = naming.guard(PREFIX, name)
    except RepositoryOutsidePrefix:
        return
    assert passed == name
    assert name.startswith(f"{PREFIX}/")
    assert ".." not in name
    assert "//" not in name
    assert name.isascii()
    assert name == name.lower().strip()


@given(st.from_regex(r"\A[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*\Z").filter(lambda n: 2 <= len(n) <= 128))
@pytest.mark.slow
def test_every_image_name_has_a_repository_of_its_own(name: str) -> None:
    assert naming.image_repository(PREFIX, name) == f"{PREFIX}/{name}"


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_prefix_means_the_default_never_everything(empty: str) -> None:
    assert naming.normalize_prefix(empty) == "rime-managed-images"
    with pytest.raises(RepositoryOutsidePrefix):
        naming.guard(empty, "anything/at-all")


@pytest.mark.parametrize("bad", ["/", "A", "a b", "a//b", "../a", "a:b", "a" * 130, "é", "*"])
def test_a_prefix_that_ecr_would_refuse_stops_the_start(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        naming.normalize_prefix(bad)


@pytest.mark.parametrize("segment", ["", " "])
def test_an_instance_without_a_segment_has_the_prefix_as_it_is(segment: str) -> None:
    assert naming.add_segment(PREFIX, segment) == PREFIX
    assert naming.add_segment("", segment) == naming.DEFAULT_PREFIX


def test_a_segment_follows_the_prefix_in_every_name(settings: Any) -> None:
    settings.REPOSITORY_PREFIX, settings.REPOSITORY_SEGMENT = "", "staging"
    prefix = naming.effective_prefix()
    assert prefix == "rime-managed-images/staging"
    assert naming.image_repository(prefix, "churn") == f"{prefix}/churn"
    assert naming.base_repository(prefix, "all", "3.11") == f"{prefix}/base/all-3.11"


@pytest.mark.parametrize("bad", ["a/b", "A", "a b", "../a", "a" * 120, *naming.RESERVED])
def test_a_segment_that_would_meet_other_names_stops_the_start(bad: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        naming.add_segment("", bad)


@given(st.sampled_from(["a", "b", "base-2", "x.y"]), st.sampled_from(["churn", "base/all-3.11"]))
def test_no_name_of_an_instance_with_a_segment_is_one_of_the_instance_without(
    segment: str, rest: str
) -> None:
    theirs = naming.guard(naming.add_segment(PREFIX, segment), f"{PREFIX}/{segment}/{rest}")
    with pytest.raises(RepositoryOutsidePrefix):
        naming.guard(PREFIX, theirs)


def control_calls(control: RepositoryControl, name: str) -> list[Any]:
    return [
        lambda: control.create_repository(name, ours=True),
        lambda: control.put_lifecycle_policy(name),
        lambda: control.list_images(name),
        lambda: control.describe_images(name),
        lambda: control.delete_repository(name),
    ]


@given(st.sampled_from(OUTSIDE) | st.text(max_size=30).filter(lambda n: not n.startswith(PREFIX)))
@pytest.mark.slow
def test_the_control_plane_sends_nothing_for_them(name: str) -> None:
    for call in control_calls(CONTROL, name):
        with pytest.raises(RepositoryOutsidePrefix):
            call()
    assert not SENT


@given(st.sampled_from(OUTSIDE) | st.text(max_size=30).filter(lambda n: not n.startswith(PREFIX)))
@pytest.mark.slow
def test_the_data_plane_sends_nothing_for_them(name: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url} was sent")

    good, digest = f"{PREFIX}/a", "sha256:" + "0" * 64
    with RegistryClient(
        "https://registry.test",
        guard=lambda repository: naming.guard(PREFIX, repository),
        transport=httpx.MockTransport(never),
    ) as client:
        for call in (
            lambda: client.get_manifest(name, "x"),
            lambda: client.head_manifest(name, "x"),
            lambda: client.put_manifest(name, "x", b"{}", "x/y"),
            lambda: client.has_blob(name, digest),
            lambda: client.mount_blob(name, digest, good),
            lambda: client.mount_blob(good, digest, name),
        ):
            with pytest.raises(RepositoryOutsidePrefix):
                call()


def test_a_client_that_may_write_cannot_be_made_without_the_guard() -> None:
    with pytest.raises(ValueError, match="guard"):
        RegistryClient("https://registry.test")
