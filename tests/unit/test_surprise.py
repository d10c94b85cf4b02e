"""The page that shows what surprised a language model."""

import numpy as np

from pipelines.evaluation.surprise import EDGES, heat_strip, most_surprising_lines, surprise_page


def test_neighbours_of_one_class_share_a_span_and_markup_is_escaped():
    strip = heat_strip(["a", "<", "b"], np.array([0.1, 0.2, 9.0]))
    assert strip == (
        '<span class="h0" title="0.2 bits">a&lt;</span><span class="h7" title="9.0 bits">b</span>'
    )


def test_line_ends_and_tabs_are_seen():
    assert "\u00b6\n" in heat_strip(["\n"], np.array([1.0]))
    assert "\u2192\t" in heat_strip(["\t"], np.array([1.0]))


def test_lines_that_surprised_most_come_first_and_short_ones_not_at_all():
    tokens = [*("x" * 12), "\n", *("y" * 12), "\n", "z", "\n"]
    bits = np.array([1.0] * 13 + [3.0] * 13 + [9.0] * 2)
    assert [(number, mean) for number, mean, _ in most_surprising_lines(tokens, bits)] == [
        (2, 3.0),
        (1, 1.0),
    ]


def test_the_page_tells_bits_per_character_and_the_share_of_every_class(tmp_path):
    path = tmp_path / "page.html"
    tokens, bits = list("abcd"), np.array([0.0, 0.0, 2.0, 6.0])
    surprise_page(path, "a <text>", tokens, bits, characters=4)
    page = path.read_text()
    assert "2.000 <small>bits per character" in page
    assert "a &lt;text&gt;" in page
    assert "stored them" not in page
    assert "in 1 bytes" in page
    assert page.count('<li><span class="h') == len(EDGES) + 1
    assert "0 to 0.5 bits: 50 %" in page
