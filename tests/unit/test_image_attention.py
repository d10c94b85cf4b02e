import io
import xml.dom.minidom

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import ConfigError, DataError, EvaluationError
from pipelines.evaluation.caption_looks import Look, where
from pipelines.evaluation.caption_pictures import data_uri, read_upright, square, thumbnail, veil
from pipelines.evaluation.image_attention import attention_bytes, save_attention

MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def look_at(*tokens, side=2, **settings):
    weights = np.zeros((len(tokens), side * side), np.float32)
    weights[np.arange(len(tokens)), np.arange(len(tokens)) % (side * side)] = 1
    return Look(tokens, weights, **settings)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in.png"
    Image.new("RGB", (40, 20), (255, 0, 0)).save(path)
    return path


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_picture_stands_alone(form, picture, tmp_path):
    path = tmp_path / f"out.{form.upper()}"
    save_attention(picture, look_at("▁a", "▁<b>&$x$", "漢"), path)
    assert path.read_bytes().startswith(MAGIC[form])
    assert sorted(it.name for it in tmp_path.iterdir()) == ["in.png", path.name]
    if form == "svg":
        text = path.read_text(encoding="utf-8")
        xml.dom.minidom.parseString(text)
        assert "&lt;b&gt;&amp;$x$" in text
        assert 'href="http' not in text


def test_a_tile_is_clear_where_the_model_looked_and_dark_elsewhere(picture):
    # One word looks at the upper left of the padded square, which is white there.
    drawn = Image.open(io.BytesIO(attention_bytes(picture, look_at("▁a"), "png"))).convert("L")
    pixels = np.asarray(drawn)
    tile = pixels[:, pixels.shape[1] // 2 :]
    height, width = tile.shape
    assert tile[int(0.3 * height), int(0.2 * width)] > 230
    assert tile[int(0.9 * height), int(0.8 * width)] < 80


def test_pieces_of_a_word_share_a_tile():
    words = look_at("▁but", "ter", "fly", "▁red").by_words()
    assert words.tokens == ("butterfly", "red")
    np.testing.assert_allclose(words.weights, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "shape"), [(("a",), (1, 5)), (("a",), (2, 4)), ((), (0, 4)), (("a",), (1, 0))]
)
def test_weights_that_do_not_fit_are_refused(tokens, shape, picture):
    with pytest.raises(EvaluationError) as error:
        attention_bytes(picture, Look(tokens, np.zeros(shape, np.float32)), "png")
    message = str(error.value)
    assert f"weights of shape {list(shape)} for {len(tokens)} tokens" in message
    assert "cut padding from the weights" in message


def test_an_unknown_ending_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"--attention: .*ends with '.gif'; expected one of .png"):
        save_attention(tmp_path / "none.png", look_at("a"), tmp_path / "out.gif")


def test_a_file_that_is_no_image_is_named(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(DataError, match=r"x\.png.*PDF"):
        save_attention(path, look_at("a"), tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


def test_images_are_upright_and_over_white(tmp_path):
    turned, clear = tmp_path / "turned.jpg", tmp_path / "clear.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    left_red = Image.new("RGB", (64, 32), (0, 0, 255))
    left_red.paste((255, 0, 0), (0, 0, 32, 32))
    left_red.save(turned, exif=exif, quality=95)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(clear)
    seen = read_upright(turned, 32)
    assert seen.size == (32, 64)
    assert seen.getpixel((16, 8))[0] > 200  # turned clockwise: what was left is on top
    assert seen.getpixel((16, 56))[2] > 200
    assert read_upright(clear, 8).getpixel((4, 4)) == (255, 255, 255)


def test_the_square_is_what_the_reader_makes_of_an_image():
    wide = Image.new("RGB", (40, 20), (255, 0, 0))
    assert square(wide, 40).getpixel((20, 2)) == (255, 255, 255)
    assert square(wide, 40).getpixel((1, 20)) == (255, 0, 0)
    for fit in ("crop", "stretch"):
        assert square(wide, 40, fit).getpixel((20, 2)) == (255, 0, 0)


def test_a_veil_is_clear_at_the_largest_weight_however_small():
    alpha = np.asarray(veil(np.array([[0.02, 0.01], [0.0, 0.02]])).getchannel("A"))
    assert alpha[0, 0] == alpha[-1, -1] == 0
    assert alpha[-1, 0] > 180
    even = np.asarray(veil(np.full((3, 3), 1 / 9)).getchannel("A"))
    assert even.max() == 0
    assert np.asarray(veil(np.zeros((2, 2))).getchannel("A")).min() > 180


def test_where_most_weight_lies_is_said():
    maps = np.zeros((3, 6, 6))
    maps[0, 0, 5] = maps[1, 5, 2] = 1
    maps[2] = 1 / 36
    assert [where(part) for part in maps] == ["upper right", "bottom", "middle"]


def test_thumbnails_are_small_and_unreadable_files_have_none(tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(noise).save(path)
    small = thumbnail(path, 100)
    assert small.size == (100, 75)
    assert data_uri(small).startswith("data:image/jpeg;base64,")
    assert data_uri(Image.new("RGB", (90, 90))).startswith("data:image/png;base64,")
    long = tmp_path / "long.png"
    Image.new("RGB", (4000, 20)).save(long)
    assert thumbnail(long, 100).size == (100, 8)
    assert thumbnail(tmp_path / "absent.png", 100) is None
