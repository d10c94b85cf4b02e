"""Files read in batches, and messages about those that cannot be read."""

import functools
import io
import itertools
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import DataError
from pipelines.images.files import describe_failure
from pipelines.images.reading import ImageReader, read_file
from pipelines.images.streaming import read_images

SIZE = 6
COLOUR = (1, 2, 3)


@functools.cache
def reader():
    return ImageReader(SIZE, background=COLOUR)


def encoded(colour, kind="PNG", sides=(SIZE, SIZE)):
    stream = io.BytesIO()
    Image.new("RGB", sides, colour).save(stream, kind)
    return stream.getvalue()


def written(folder, contents):
    paths = [folder / f"{number}.bin" for number in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    return paths


def run_length_bmp():
    data = bytearray(encoded((1, 1, 1), "BMP"))
    data[30] = 1
    return bytes(data)


def huge_png():
    data = encoded((1, 1, 1))
    return data[:16] + struct.pack(">II", 60_000, 60_000) + data[24:]


def test_files_come_in_their_order_in_batches(tmp_path):
    colours = [(shade, 50, 90) for shade in range(0, 250, 50)]
    paths = written(tmp_path, [encoded(colour) for colour in colours])
    batches = list(read_images(paths, reader(), batch=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(batches)[:, 0, 0], colours)


def test_an_endless_list_is_read_as_it_is_asked_for(tmp_path):
    [path] = written(tmp_path, [encoded((9, 9, 9))])
    batches = read_images(itertools.repeat(path), reader(), batch=3)
    assert [len(batch) for batch in itertools.islice(batches, 2)] == [3, 3]


def test_broken_files_are_told_and_show_the_background(tmp_path):
    good = encoded((200, 0, 0))
    paths = written(tmp_path, [good, b"", good, b"no image", good])
    paths.append(tmp_path / "absent.png")
    told = {}
    batches = read_images(
        paths, reader(), batch=2, on_broken=lambda number, error: told.update({number: str(error)})
    )
    pixels = np.concatenate(list(batches))
    red = (200, 0, 0)
    np.testing.assert_array_equal(pixels[:, 2, 2], [red, COLOUR, red, COLOUR, red, COLOUR])
    assert list(told) == [1, 3, 5]
    assert "1.bin: the file is empty; expected PNG, JPEG" in told[1]
    assert "absent.png: no such file" in told[5]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            b"no image",
            r"0\.bin: cannot be read as an image \(not a PNG.*\): found 8 bytes that begin with "
            "b'no image'; expected PNG, JPEG, GIF, WebP or BMP; save it as one of these",
        ),
        (encoded((5, 5, 5))[:-30], r"\(Invalid PNG data.*it is damaged, cut off.*copy it again"),
        (encoded((5, 5, 5), "JPEG")[:-200], r"\(Invalid JPEG data.*it is damaged, cut off"),
        (encoded((5, 5, 5), "BMP")[:-20], r"\(a BMP that is cut off\).*copy it again"),
        (encoded((5, 5, 5), "GIF")[:20], r"GIF.*it is damaged, cut off"),
        (encoded((5, 5, 5), "WEBP")[:-20], "it is damaged, cut off"),
        (run_length_bmp(), r"\(a run-length encoded BMP, which is not supported; save it as PNG\)"),
        (huge_png(), r"\(an image has no pixels, or more than 134217728; make it smaller\)"),
        (encoded((5, 5, 5), "TIFF"), "it is a TIFF: save it as one of these"),
        (encoded((5, 5, 5), "AVIF"), "it is an AVIF image"),
        (b"\n<!DOCTYPE html><p>Not found", "it is a web page, such as a server sends instead"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS; fetch"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_what_it_is(tmp_path, contents, message):
    paths = written(tmp_path, [contents])
    with pytest.raises(DataError, match=message):
        list(read_images(paths, reader()))


@pytest.mark.parametrize("name", [".", "absent/x.png"])
def test_a_path_without_a_file_is_described(tmp_path, name):
    with pytest.raises(DataError, match="folder"):
        read_file(tmp_path / name)
    assert "folder" in describe_failure(tmp_path / name)


def test_describing_a_file_imports_no_tensorflow():
    script = "import sys, pipelines.images.files; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
