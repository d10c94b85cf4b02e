"""Shifts are found in generated text that has lengths, names and numbers as real text has."""

from __future__ import annotations

import random

import pytest

from pipelines.datasets.parallel_alignment import (
    MOST_OFFSET,
    check_alignment,
    first_shift,
    shifted_stretches,
)

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "mar", "lin")


def text_and_translation(lines: int, seed: int) -> tuple[list[str], list[str]]:
    """Make sentences whose words are translated one by one: others, and 10 % longer."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(400)]
    dictionary = {it: "".join(draw.choices(SYLLABLES, k=draw.randint(1, 5))) for it in words}
    names = ["".join(draw.choices(SYLLABLES, k=3)).title() for _ in range(60)]
    sources, targets = [], []
    for _ in range(lines):
        chosen = draw.choices(words, k=max(2, int(draw.lognormvariate(2.3, 0.6))))
        translated = [dictionary[it] for it in chosen if draw.random() > 0.1]
        extra = []
        if draw.random() < 0.4:
            extra.append(draw.choice(names))
        if draw.random() < 0.15:
            extra.append(str(draw.randint(2, 2000)))
        mark = "?" if draw.random() < 0.1 else "."
        sources.append(" ".join([*extra, *chosen]) + mark)
        targets.append(" ".join([*translated, *extra]) + (" " + mark if mark == "?" else mark))
    return sources, targets


@pytest.mark.parametrize("seed", range(4))
def test_texts_that_fit_are_left_alone(seed: int) -> None:
    sources, targets = text_and_translation(1500, seed)
    assert shifted_stretches(zip(sources, targets, strict=True)) == []
    assert first_shift(sources, targets) is None
    assert check_alignment(zip(sources, targets, strict=True)).level == "ok"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("missing", range(1, MOST_OFFSET + 1))
def test_missing_lines_are_placed(seed: int, missing: int) -> None:
    sources, targets = text_and_translation(400, seed)
    at = random.Random(seed).randint(20, 360)
    cut = targets[:at] + targets[at + missing :]
    found = first_shift(sources, cut)
    assert found is not None and found.offset == -missing
    # Lines at + 1 ... at + missing have no translation; the shift begins there or just after.
    assert abs(found.line - (at + 1)) <= missing + 3
    assert found.gain > 0
    mirrored = first_shift(cut, sources)
    assert mirrored is not None and mirrored.offset == missing


def test_shift_far_beyond_the_window_is_told_by_the_counts() -> None:
    sources, targets = text_and_translation(600, 11)
    found = first_shift(sources, targets[:200] + targets[240:])
    assert found is not None and found.offset == -40
    # Lines 201-240 have no translation, line 241 fits line 201.
    assert abs(found.line - 201) <= 5 and 241 <= found.fits <= 250


def test_cut_end_is_no_shift() -> None:
    sources, targets = text_and_translation(300, 5)
    assert first_shift(sources, targets[:220]) is None


def test_stretch_that_slips_and_recovers_is_shown() -> None:
    sources, targets = text_and_translation(500, 3)
    # One line lost at 200 and one doubled at 300: counts are equal, a hundred pairs are wrong.
    slipped = targets[:199] + targets[200:300] + [targets[300], *targets[300:]]
    assert len(slipped) == len(sources)
    (found,) = shifted_stretches(zip(sources, slipped, strict=True))
    assert found.offset == -1
    assert abs(found.line - 200) <= 3 and abs(found.end - 301) <= 3
    finding = check_alignment(zip(sources, slipped, strict=True))
    assert finding.level == "warning"
    assert "in 1 stretch(es) fit the target's lines before or after better" in finding.detail
    assert finding.detail.endswith("mend the files there")
    assert finding.table[1][2] == "-1"


def test_blocks_keep_the_numbers_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.datasets.parallel_alignment._BLOCK_LINES", 250)
    sources, targets = text_and_translation(1000, 8)
    slipped = targets[:599] + targets[600:700] + [targets[700], *targets[700:]]
    (found,) = shifted_stretches(zip(sources, slipped, strict=True))
    assert abs(found.line - 600) <= 3 and abs(found.end - 701) <= 3


@pytest.mark.parametrize("lines", [[], [""], ["a"], ["", ""], ["a"] * 50])
def test_nothing_is_found_where_nothing_can_be(lines: list[str]) -> None:
    assert first_shift(lines, lines[:-1]) is None
    assert shifted_stretches(zip(lines, lines, strict=True)) == []
