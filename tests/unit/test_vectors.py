import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.text.vectors import Vectors, load_vectors
from pipelines.text.vocabulary import RESERVED, Vocabulary

VOCABULARY = Vocabulary((*RESERVED, "film", "Paris", "plot", "new york", "zzz"))
LINES = "the 9 9 9\nfilm 1 2 3\nparis -1 0.5 1e-1\nPLOT 4 5 6\nPlot 7 8 9\nnew york 2 2 2\n"


def load(path: Path, content: str | bytes, **options: object) -> Vectors:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_vectors(path, options.get("vocabulary", VOCABULARY), seed=options.get("seed", 1))


@pytest.mark.parametrize("header", ["", "6 3\n"])
@pytest.mark.parametrize("name", ["vectors.vec", "vectors.txt.gz"])
def test_rows_of_the_vocabulary_are_kept(tmp_path: Path, header: str, name: str):
    content = (header + LINES).encode()
    vectors = load(
        tmp_path / name, gzip.compress(content, mtime=0) if name.endswith("gz") else content
    )
    assert vectors.matrix.shape == (9, 3) and vectors.matrix.dtype == np.float32
    expected = [[1, 2, 3], [-1, 0.5, 0.1], [4, 5, 6], [2, 2, 2]]
    np.testing.assert_array_equal(vectors.matrix[4:8], np.float32(expected))
    np.testing.assert_array_equal(vectors.matrix[0], 0)
    assert (vectors.found, vectors.other_case, vectors.file_words) == (4, 2, 6)
    assert vectors.coverage == 0.8
    assert vectors.missing == ("zzz",)


def test_the_exact_form_wins_over_another_case_wherever_it_stands(tmp_path: Path):
    for content in ("film 1 1\nFilm 2 2\n", "Film 2 2\nfilm 1 1\n"):
        vectors = load(tmp_path / "v.txt", content)
        np.testing.assert_array_equal(vectors.matrix[4], 1)
        assert vectors.other_case == 0


def test_the_first_of_repeated_words_counts(tmp_path: Path):
    np.testing.assert_array_equal(load(tmp_path / "v", "film 1 1\nfilm 2 2\n").matrix[4], 1)


def test_absent_rows_are_drawn_with_the_spread_of_the_found_ones(tmp_path: Path):
    rng = np.random.default_rng(5)
    scales = np.array([0.1, 3.0])
    lines = [
        f"w{i} {x:.6f} {y:.6f}" for i, (x, y) in enumerate(rng.normal(size=(2000, 2)) * scales)
    ]
    tokens = [f"w{i}" for i in range(2000)] + [f"absent{i}" for i in range(2000)]
    vocabulary = Vocabulary((*RESERVED, *tokens))
    drawn = load(tmp_path / "v", "\n".join(lines), vocabulary=vocabulary).matrix[2004:]
    np.testing.assert_allclose(drawn.std(axis=0), scales, rtol=0.1)
    np.testing.assert_allclose(drawn.mean(axis=0) / scales, 0, atol=0.1)


def test_the_seed_decides_the_drawn_rows_alone(tmp_path: Path):
    first, again, other = (load(tmp_path / "v", LINES, seed=seed).matrix for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[4:8], other[4:8])
    assert (first[8] != other[8]).all()


def test_a_file_without_a_known_word_still_gives_a_matrix(tmp_path: Path):
    vectors = load(tmp_path / "v", "other 1 2\n")
    assert (vectors.found, vectors.coverage, vectors.matrix.shape) == (0, 0.0, (9, 2))
    assert 0 < np.abs(vectors.matrix[4:]).max() < 1


def test_words_cut_inside_a_character_do_not_stop_the_pass(tmp_path: Path):
    assert load(tmp_path / "v", b"caf\xc3 1 2\nfilm 3 4\n").matrix[4].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("film 1 2 3\nplot 1 2\n", r"v\.vec:2: 2 numbers, but 3 in the lines before .*'plot 1 2'"),
        ("film 1 2\nplot 1 2 3\n", r"v\.vec:2: 3 numbers, but 2 in the lines before"),
        ("2 3\nfilm 1 2\n", r"v\.vec:2: 2 numbers, but 3 in the lines before"),
        ("film\n", r"v\.vec:1: no number after the word \(line reads 'film'\); expected a word"),
        ("film 1 2\nplot 1 x\n", r"v\.vec:2: could not convert string.*download the file again"),
        ("film 1 2\nplot nan 1\n", r"v\.vec:2: a value that is not finite"),
        ("film 1 2\n\n", r"v\.vec:2: 0 numbers, but 2"),
        ("", r"no vectors in .*v\.vec: .*binary \.bin files have to be converted"),
        (
            gzip.compress(LINES.encode(), mtime=0)[:-12],
            r"cannot read word vectors .* after line \d+: .*again",
        ),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, content: str | bytes, message: str):
    with pytest.raises(DataError, match=message):
        load(tmp_path / "v.vec", content)


def test_an_absent_file_says_which_option_to_correct(tmp_path: Path):
    with pytest.raises(DataError, match=r"absent\.vec.*No such file.*correct --embeddings"):
        load_vectors(tmp_path / "absent.vec", VOCABULARY, seed=1)


words = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=8)
numbers = st.floats(-1e6, 1e6, width=32)


@given(
    st.dictionaries(
        words.filter(lambda word: word not in RESERVED),
        st.lists(numbers, min_size=4, max_size=4),
        min_size=1,
        max_size=20,
    )
)
def test_any_vectors_written_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, vectors: dict[str, list[float]]
):
    path = tmp_path_factory.mktemp("vectors") / "v.vec"
    lines = [f"{word} {' '.join(map(repr, values))}" for word, values in vectors.items()]
    path.write_text(f"{len(vectors)} 4\n" + "\n".join(lines) + "\n", encoding="utf-8")
    vocabulary = Vocabulary((*RESERVED, *vectors))
    loaded = load_vectors(path, vocabulary, seed=0)
    assert loaded.found == loaded.file_words == len(vectors)
    np.testing.assert_array_equal(loaded.matrix[4:], np.float32(list(vectors.values())))
