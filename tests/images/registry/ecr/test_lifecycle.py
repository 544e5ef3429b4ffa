"""What a lifecycle policy takes and leaves, by ECR's own rules, whatever happens between its evaluations."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from images.jobs import retention
from images.jobs.retention import RetentionState
from images.registry.ecr.lifecycle import MAX_RULES, lifecycle_policy
from images.registry.ecr.repositories import ImageDetail
from images.registry.tags import build_number
from tests.images.registry.ecr.ecr_lifecycle import (
    EXPIRES_WITHIN,
    Image,
    expired,
    matches,
    validated,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = START + timedelta(days=7)


def text(*tags: str) -> str:
    return json.dumps(lifecycle_policy(tags))


@pytest.mark.slow
@given(st.lists(st.integers(1, 10_000), unique=True, max_size=200))
def test_a_policy_is_one_that_ecr_accepts(numbers: list[int]) -> None:
    tags = [f"build-{number}-provenance" for number in numbers]
    assert len(validated(text(*tags))) == min(len(tags) + 1, MAX_RULES)


def test_without_superseded_builds_only_untagged_images_expire() -> None:
    images = [Image("a", set(), START), Image("b", {"build-1"}, START), Image("c", {"x"}, START)]
    assert expired(text(), images, WEEK) == {"a"}
    assert expired(text(), images, START + timedelta(hours=23)) == set()


def test_a_tag_is_not_taken_for_another_that_it_is_part_of() -> None:
    tags = ("build-3", "build-30", "build-13", "build-3-sbom", "build-33")
    images = [Image(tag, {tag}, START) for tag in tags]
    assert expired(text("build-3"), images, WEEK) == {"build-3"}
    assert expired(text("build-3-sbom"), images, WEEK) == {"build-3-sbom"}


@pytest.mark.parametrize(
    ("tags", "digest", "why"),
    [
        (("build-1", "build-9"), "old", "a kept build has it too"),
        (("build-1", "golden"), "old", "somebody tagged it"),
        (("build-1",), "kept", "it is what a kept build is"),
        (("build-7",), "old", "its build has not ended"),
        ((), "old", "the rule for untagged images takes it"),
    ],
)
def test_an_image_stays_if(tags: tuple[str, ...], digest: str, why: str) -> None:
    now = RetentionState(superseded=frozenset({1, 2}), digests=frozenset({"kept"}))
    stays = ImageDetail(digest, tags, 1, START)
    goes = ImageDetail("gone", ("build-2", "build-1-sbom"), 1, START)
    assert retention.choose_expired_tags([stays, goes], now) == ["build-1-sbom"], why


def test_a_pattern_that_would_take_somebody_elses_image_along_is_left_out() -> None:
    now = RetentionState(superseded=frozenset({1}), digests=frozenset())
    images = [
        ImageDetail("ours", ("build-1",), 1, START),
        ImageDetail("theirs", ("nightly-rebuild-1",), 1, START),
    ]
    assert retention.choose_expired_tags(images, now) == []


class Repository(RuleBasedStateMachine):
    """One image's builds, its repository, and an ECR that evaluates the policy in force at any moment.

    A build's content is one of three, so builds often make an image that is there already. Tidying may be
    lost, or come late; the clock moves by hours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keep = 1
        self.now = START
        self.images: dict[str, Image] = {}
        self.policy = text()
        self.count = 0
        self.succeeded: dict[int, str] = {}
        self.ended: set[int] = set()

    @initialize(keep=st.integers(1, 3))
    def configure(self, keep: int) -> None:
        self.keep = keep

    # --- what the platform does ---

    def standing(self) -> RetentionState:
        kept = sorted(self.succeeded, reverse=True)[: self.keep]
        return RetentionState(
            frozenset(self.ended - set(kept)), frozenset(self.succeeded[n] for n in kept)
        )

    def push(self, tag: str, digest: str) -> None:
        """Tags are immutable; an image that is there only gets one more."""
        image = self.images.setdefault(digest, Image(digest, set(), self.now))
        image.tags.add(tag)

    def build(self, content: int) -> str:
        """What `images.jobs.composition` does: an image that may be expiring is not used again."""
        self.count += 1
        digest = f"content-{content}"
        if digest in self.images and digest not in self.standing().digests:
            digest = f"content-{content} of build-{self.count}"
        self.push(f"build-{self.count}", digest)
        return digest

    @rule(content=st.integers(1, 3))
    def succeed(self, content: int) -> None:
        digest = self.build(content)
        self.push(f"build-{self.count}-sbom", f"sbom of {digest}")
        self.push(f"build-{self.count}-provenance", f"provenance of {self.count}")
        self.succeeded[self.count] = digest
        self.ended.add(self.count)

    @rule(content=st.integers(1, 3), pushed=st.booleans())
    def fail(self, content: int, pushed: bool) -> None:
        if pushed:
            self.build(content)
        else:
            self.count += 1
        self.ended.add(self.count)

    @rule(content=st.integers(1, 3))
    def push_while_the_policy_is_made(self, content: int) -> None:
        """A build has pushed and not ended when the registry server looks."""
        digest = self.build(content)
        self.tidy()
        self.evaluate()
        self.push(f"build-{self.count}-sbom", f"sbom of {digest}")
        self.succeeded[self.count] = digest
        self.ended.add(self.count)

    @rule()
    def tidy(self) -> None:
        details = [
            ImageDetail(image.digest, tuple(sorted(image.tags)), 1, image.pushed_at)
            for image in self.images.values()
        ]
        now = self.standing()
        if now.superseded:
            self.policy = json.dumps(lifecycle_policy(retention.choose_expired_tags(details, now)))

    # --- what happens anyway ---

    @rule(hours=st.sampled_from([1, 23, 30]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def evaluate(self) -> None:
        for digest in expired(self.policy, self.images.values(), self.now):
            del self.images[digest]

    @rule(number=st.integers(1, 3))
    def somebody_pushes_without_a_tag(self, number: int) -> None:
        self.images.setdefault(f"untagged-{number}", Image(f"untagged-{number}", set(), self.now))

    # --- what must hold ---

    @invariant()
    def what_can_be_rolled_back_to_is_there(self) -> None:
        for number in sorted(self.succeeded, reverse=True)[: self.keep]:
            for suffix in ("", "-sbom"):
                tag = f"build-{number}{suffix}"
                assert any(tag in image.tags for image in self.images.values()), tag
            assert f"build-{number}" in self.images[self.succeeded[number]].tags

    def teardown(self) -> None:
        """In the end, nothing is left but what can be rolled back to."""
        for _ in range(self.count + 1):
            self.tidy()
            self.now += EXPIRES_WITHIN + timedelta(hours=1)
            self.evaluate()
        kept = set(sorted(self.succeeded, reverse=True)[: self.keep])
        for image in self.images.values():
            assert {build_number(tag) for tag in image.tags} & kept, image


TestRepository = pytest.mark.slow(Repository.TestCase)
TestRepository.settings = hypothesis.settings(max_examples=100, stateful_step_count=40)


def test_an_image_whose_rule_is_in_force_does_not_become_current_again() -> None:
    """The one course of events that a rule by tag cannot survive by itself, and chance rarely finds."""
    life = Repository()
    for content in (1, 2):
        life.succeed(content)
    life.tidy()
    life.time_passes(30)
    life.succeed(1)
    life.evaluate()
    life.what_can_be_rolled_back_to_is_there()
    assert life.images["content-1 of build-3"].tags == {"build-3"}
    assert "content-1" not in life.images


def test_the_simulation_knows_which_rule_comes_first() -> None:
    """From the user guide: what a rule of higher priority selects, a lower one cannot expire."""
    rules = [
        {"tagStatus": "tagged", "tagPatternList": ["*build-1"], "countType": "imageCountMoreThan",
         "countNumber": 1},
        {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
    ]  # fmt: skip
    document = {
        "rules": [
            {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}
            for priority, selection in enumerate(rules, start=1)
        ]
    }
    images = [
        Image("protected", {"build-1"}, START),
        Image("older", {"build-2"}, START + timedelta(hours=1)),
        Image("newer", {"build-3"}, START + timedelta(hours=2)),
    ]
    assert expired(json.dumps(document), images, WEEK) == {"older"}
    both = {"tagStatus": "tagged", "tagPatternList": ["build-*", "x"]}
    assert not matches(both, images[0])
    assert matches(both, Image("both", {"build-1", "x"}, START))
