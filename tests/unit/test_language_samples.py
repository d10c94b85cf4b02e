from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evaluation import language_copies
from pipelines.evaluation.language_balance import Balance, balance, language_of
from pipelines.evaluation.language_copies import Copies, copied_runs
from pipelines.evaluation.language_samples import (
    distinct_share,
    examine_samples,
    real_pieces,
    training_texts,
)

FEW_LETTERS = st.text("ab", max_size=40)


def documents(*texts):
    return [SimpleNamespace(text=text) for text in texts]


def plainly(text, training, shortest):
    """Runs that occur and cannot be made longer, by trying every substring."""

    def known(start, end):
        return any(text[start:end] in other for other in training)

    found = [
        (start, end)
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if known(start, end)
        and not (start and known(start - 1, end))
        and not (end < len(text) and known(start, end + 1))
    ]
    longest = max((end - start for start, end in found), default=0)
    start = min((s for s, e in found if e - s == longest), default=0)
    return Copies(longest, start, tuple(run for run in found if run[1] - run[0] >= shortest))


@settings(max_examples=60, deadline=None)
@given(st.lists(FEW_LETTERS, max_size=4), st.lists(FEW_LETTERS, max_size=4))
def test_copied_runs_equal_a_plain_search(texts, training):
    assert copied_runs(texts, training, shortest=12) == [
        plainly(text, training, 12) for text in texts
    ]


@settings(max_examples=60, deadline=None)
@given(st.text("abcdé😀", max_size=12), st.text("abcdé😀", max_size=30))
def test_short_runs_are_found_too(text, training):
    assert copied_runs([text], [training])[0].longest == plainly(text, [training], 20).longest


def test_runs_across_blocks_are_whole(monkeypatch):
    monkeypatch.setattr(language_copies, "_BLOCK", 16)
    training = "".join(chr(97 + place * 7 % 26) + chr(65 + place // 26) for place in range(200))
    text = "??" + training[5:90] + "!!"
    assert copied_runs([text], [training]) == [Copies(85, 2, ((2, 87),))]


def test_a_run_never_spans_two_documents():
    (found,) = copied_runs(["the quick brown fox"], ["the quick ", "brown fox"])
    assert found.longest == 10


def test_marks_join_runs_that_overlap():
    assert Copies(9, 0, ((0, 5), (3, 8), (8, 12))).marked() == [(0, 8), (8, 12)]


def test_brackets_of_prose():
    assert balance('(a [b] c) “so” "x" don\'t') == Balance(3 - 1, 0, 0, 2, 0)
    assert balance("[Exit) ]") == Balance(1, 1, 0, 0, 0)
    assert balance("(a [b) c") == Balance(1, 1, 0, 0, 0)
    assert balance("(a [b") == Balance(0, 0, 2, 0, 0)
    assert balance('"a\n\nb"') == Balance(0, 0, 0, 0, 2)


def test_brackets_of_c_outside_strings_and_comments():
    code = 'int f(char *a) { /* ( */ puts("}\\""); return a[0] == \'{\'; } // ]\n'
    assert balance(code, "c") == Balance(4, 0, 0, 2, 0)
    assert balance('puts("a);\n', "c") == Balance(1, 0, 0, 0, 1)
    assert balance("/* ( ", "c") == Balance(0, 0, 0, 0, 0)


def test_brackets_of_python_outside_strings_and_comments():
    code = 'def f(a):\n    """( \' " """\n    return {a: [1], "]": \'(\'}  # )\n'
    assert balance(code, "python") == Balance(3, 0, 0, 3, 0)
    assert balance('x = """ (cut off', "python") == Balance(0, 0, 0, 1, 0)


def test_shares_of_brackets_and_quotes():
    found = balance('(a) [b) "c" d', "c")
    assert (found.bracket_share, found.quote_share) == (0.5, 1.0)
    assert balance("nothing").bracket_share is None
    assert balance("nothing").quote_share is None


@pytest.mark.parametrize(
    ("names", "language"),
    [
        (["a/b.h", "c.CC", "d.py"], "c"),
        (["a.py", "README"], "python"),
        (["hamlet.txt", "lear"], "prose"),
        ([], "prose"),
    ],
)
def test_language_by_the_endings_of_names(names, language):
    assert language_of(names) == language


@settings(max_examples=100, deadline=None)
@given(st.text("()[]{}\"'/*#\\\n ab", max_size=60), st.sampled_from(["prose", "c", "python"]))
def test_no_bracket_is_counted_twice(text, language):
    found = balance(text, language)
    brackets = sum(text.count(sign) for sign in "()[]{}")
    counted = 2 * found.closed + found.wrong + found.open
    assert counted == brackets if language == "prose" else counted <= brackets


def test_distinct_shares_by_hand():
    words = ["to", "be", "or", "not", "to", "be"]
    assert distinct_share(words, 1) == 4 / 6
    assert distinct_share(words, 2) == 4 / 5
    assert distinct_share(words, 3) == 1.0
    assert distinct_share(["a"], 2) is None


def test_real_pieces_are_cut_in_turn_from_the_start():
    rows = documents("abcdef", "ghi")
    assert real_pieces(rows, [2, 2, 3, 2, 9, 0]) == ["ab", "gh", "cde"]
    assert real_pieces([], [3]) == []


def test_training_texts_are_drawn_evenly_beyond_the_limit():
    rows = documents("aaaa", "bbbb", "cccc", "dddd")
    assert training_texts(rows, 16) == (["aaaa", "bbbb", "cccc", "dddd"], [])
    texts, notes = training_texts(rows, 9)
    assert texts == ["aaaa", "cccc"]
    assert notes[0].startswith("Copied runs and real words were looked for in 8 of 16 characters")
    assert training_texts(documents("abcdef"), 4)[0] == ["abcd"]


def test_samples_stand_beside_real_text():
    train = documents("The cat sat on the mat, and the dog lay.\n\nNo more of it (at all).\n")
    held_out = documents("A cat sat by the door, and nobody came near it that day.")
    copied = "and the dog lay.\n\nNo more of"
    report = examine_samples([copied, "Xq cat (zz", ""], train, held_out)
    first, second, empty = report.samples
    assert first.copies == Copies(28, 0, ((0, 28),))
    assert (first.copied_share, first.real_words) == (1.0, 1.0)
    assert (second.copied_share, second.real_words) == (0.0, 1 / 3)
    assert (second.balance.open, second.line_length) == (1, 10)
    assert (empty.copied_share, empty.real_words, empty.line_length) == (None, None, None)
    assert [piece.text for piece in report.real] == [held_out[0].text[:28], held_out[0].text[28:38]]
    assert report.training_line_length == pytest.approx((40 + 23) / 2)
    traits = {trait.name: trait for trait in report.traits()}
    assert traits["real words"].generated == pytest.approx((1 + 1 / 3) / 2)
    assert traits["copied text"].real == 0.0
    assert traits["brackets closed"].generated is None
    assert report.notes == ()


def test_a_sample_report_says_what_was_not_read():
    report = examine_samples(["abc"], documents("abc", "abd"), [], max_training=3)
    assert "3 of 6 characters" in report.notes[0]
    assert report.real == ()
    assert {trait.real for trait in report.traits()} == {None}
