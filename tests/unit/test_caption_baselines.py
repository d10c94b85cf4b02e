import numpy as np
import pytest
from PIL import Image

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.errors import EvaluationError
from pipelines.evaluation import caption_neighbours as neighbours
from pipelines.evaluation.caption_baselines import (
    most_common,
    most_typical,
    nearest_by_feature,
    nearest_by_pixel,
)


def drawn(folder, name, colour, *captions, mode="RGB", size=(40, 24), **saving):
    path = folder / name
    Image.new(mode, size, colour).save(path, **saving)
    return CaptionedImage(str(path), captions)


def captioned(*captions):
    return CaptionedImage("", captions)


def test_most_common_counts_words_not_spelling_and_takes_the_first_of_equals():
    train = [captioned("a dog"), captioned("A cat.", "cat a"), captioned("a CAT", "A dog")]
    found = most_common(train, [None] * 3)
    assert found["caption"].tolist() == ["a dog"] * 3
    assert found["complete"].all()
    assert np.isnan(found["score"]).all()
    train.append(captioned("a cat!"))
    assert most_common(train, [None])["caption"].tolist() == ["A cat."]
    with pytest.raises(
        EvaluationError, match="no training image has a caption.*check the training"
    ):
        most_common([], [None])


def test_nearest_by_pixel_sees_alpha_orientation_and_depth_over_white(tmp_path):
    train = [
        drawn(tmp_path, "red.png", (200, 30, 30), "red"),
        drawn(tmp_path, "white.jpg", (255, 255, 255), "white"),
        drawn(tmp_path, "white again.png", (255, 255, 255), "white again"),
        drawn(tmp_path, "grey.png", 128, "grey", mode="L"),
    ]
    rows = [
        drawn(tmp_path, "clear.png", (0, 0, 0, 0), mode="RGBA"),
        drawn(tmp_path, "deep.png", 32768, mode="I;16"),
        drawn(tmp_path, "dark red.gif", (150, 20, 20)),
    ]
    found = nearest_by_pixel(train, rows)
    assert found["caption"].tolist() == ["white", "grey", "red"]
    assert found["nearest"].tolist() == [1, 3, 0]
    assert nearest_by_pixel(train, [])["caption"].shape == (0,)


def test_pictures_are_turned_as_their_camera_says(tmp_path):
    image = Image.new("RGB", (32, 32), "white")
    image.paste((0, 0, 0), (0, 0, 32, 16))
    image.save(tmp_path / "up.png")
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    image.rotate(180).save(tmp_path / "turned.png", exif=exif)
    paths = [str(tmp_path / name) for name in ("up.png", "none.png", "turned.png")]
    [(numbers, (up, turned))] = neighbours.thumbnail_blocks(paths)
    assert numbers.tolist() == [0, 2]
    assert up.tolist() == turned.tolist()
    assert up[0] == -128
    assert up[-1] == 127


def test_pictures_that_cannot_be_read(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    good = drawn(tmp_path, "good.png", "red", "one", "two", "two")
    bad = CaptionedImage(str(broken), ("three",))
    found = nearest_by_pixel([bad, good], [good, bad])
    assert found["caption"].tolist() == ["two", "two"]
    assert found["nearest"].tolist() == [1, -1]
    with pytest.raises(EvaluationError, match="none of 1 training images can be read.*still there"):
        nearest_by_pixel([bad], [good])


def test_nearest_in_blocks_is_nearest_of_all(monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    monkeypatch.setattr(neighbours, "_QUERIES", 5)
    random = np.random.default_rng(1)
    train = random.normal(size=(40, 6))
    train[31] = 2 * train[12]  # one direction: the first of equals
    queries = np.concatenate([random.normal(size=(12, 6)), train[[31, 12]]])
    cosines = (queries @ train.T) / np.linalg.norm(train, axis=1)
    cosines[:, 31] = -np.inf
    captions = [(f"image {n}",) for n in range(40)]
    found = nearest_by_feature(train, captions, queries)
    assert found["nearest"].tolist() == cosines.argmax(axis=1).tolist()
    assert found["caption"][-1] == "image 12"


def test_equally_near_pictures_are_seen_to_be_equally_near():
    random = np.random.default_rng(0)
    pixels = random.integers(-128, 128, (300, 768)).astype(np.int8)
    queries = random.integers(-128, 128, (20, 768)).astype(np.int8)
    blocks = [(np.arange(300), pixels), (np.arange(300, 600), pixels)]
    gaps = (queries[:, None].astype(int) - pixels[None].astype(int)) ** 2
    assert neighbours.nearest_rows(blocks, queries).tolist() == gaps.sum(2).argmin(1).tolist()


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(
        EvaluationError, match=r"\(3, 2\) of 2 training images and \(4, 2\).*exported"
    ):
        nearest_by_feature(np.ones((3, 2)), [("a",)] * 2, np.ones((4, 2)))
    with pytest.raises(EvaluationError, match=r"\(3, 2\) of 3 training images and \(4, 5\)"):
        nearest_by_feature(np.ones((3, 2)), [("a",)] * 3, np.ones((4, 5)))


def test_the_caption_taken_is_the_one_most_like_the_others():
    assert most_typical(["a bird", "the red dog runs", "a red dog"]) == "a red dog"
    assert most_typical(["first", "second"]) == "first"
    assert most_typical(["only"]) == "only"
