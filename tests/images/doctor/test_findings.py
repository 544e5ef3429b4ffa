"""The table of what the doctor found: every sentence whole, on lines that fit the terminal."""

from __future__ import annotations

from images.doctor.findings import Finding, failure, ok, table

LONG = "It does not answer: " + "connection refused " * 12


def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost() -> None:
    shown = table([ok("Database", "It answers."), failure("Broker", LONG, "Start it.")], width=100)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["What", "State", "Found", "To", "do"]
    assert shown.count("refused") == 12
    assert shown.count("FAILED") == 1


def test_a_finding_is_the_same_after_its_way_through_the_cache() -> None:
    finding = failure("Broker", LONG, "Start it.")
    assert Finding.from_json(finding.to_json()) == finding
