"""`tfds:NAME` of captioned images, with examples the library makes up: no network is needed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.datasets.captions import CaptionedImage, CaptionOptions, load_captions
from pipelines.datasets.captions_tfds import feature_of
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tfds_reader import flat_features
from pipelines.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")


def encoded(number: int) -> io.BytesIO:
    values = np.random.default_rng(number).integers(0, 256, (8, 9, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    stream.seek(0)
    return stream


class Album(tfds.core.GeneratorBasedBuilder):
    """Images with two captions each, and a name; features as of coco_captions."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = ("train", "train", "train", "train", "val", "val", "test", "test", "restval")

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(),
                "image/filename": tfds.features.Text(),
                "captions": tfds.features.Sequence({"text": np.str_, "id": np.int64}),
                "boxes": tfds.features.Sequence(tfds.features.BBoxFeature()),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(name) for name in dict.fromkeys(self.SPLITS)}

    def _generate_examples(self, wanted):
        for number in (it for it, split in enumerate(self.SPLITS) if split == wanted):
            texts = [{"text": f"{it} {number}", "id": number} for it in ("photo", "again")]
            yield (
                number,
                {
                    "image": encoded(number),
                    "image/filename": f"{number}.png",
                    "captions": texts,
                    "boxes": [],
                },
            )


@pytest.fixture(autouse=True)
def sets_on_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name: real(name, data_dir=tmp_path / "tfds"))


def folders(tmp_path) -> DataFolders:
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def load(tmp_path, name: str, **options: str) -> Splits[CaptionedImage]:
    return load_captions(f"tfds:{name}", CaptionOptions(**options), folders=folders(tmp_path))


def test_a_set_keeps_its_splits_and_its_images_as_they_are(tmp_path) -> None:
    splits = load(tmp_path, "album")
    assert [len(rows) for _, rows in splits.named()] == [5, 2, 2]
    row = next(it for it in splits.test if it.name == "7.png")
    assert row.captions == ("photo 7", "again 7")
    assert Path(row.path).read_bytes() == encoded(7).getvalue()
    assert row.path.startswith(str(tmp_path / "cache" / "tfds-images"))


def test_images_swept_from_the_cache_are_written_again(tmp_path) -> None:
    first = load(tmp_path, "album")
    for path in (tmp_path / "cache" / "tfds-images").rglob("*"):
        if path.is_file():
            path.unlink()
    again = load(tmp_path, "album")
    assert list(again.test) == list(first.test)
    assert Image.open(again.test[0].path).size == (9, 8)


def test_a_feature_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(
        DataError,
        match=r"tfds:album: no caption feature 'captions/txt'; did you mean 'captions/text'\?; "
        r"features found: image, image/filename, captions/(text|id), captions/(text|id), boxes; "
        "give --caption-column one of them, or another set",
    ):
        load(tmp_path, "album", caption_column="captions/txt")


def test_coco_has_the_features_looked_for() -> None:
    # Not through `tfds.builder`: its files, which are not here, would be asked for.
    features = flat_features(tfds.object_detection.coco_captions.CocoCaptions().info.features)
    assert feature_of(features, "", "image", "tfds:coco_captions") == "image"
    assert feature_of(features, "", "caption", "tfds:coco_captions") == "captions/text"
    assert "image/filename" in features
