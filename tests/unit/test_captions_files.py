"""The forms captions come in: tables quoted or not, COCO, Karpathy, lists of names; odd ones."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.datasets.captions import CaptionedImage, CaptionOptions, load_captions
from pipelines.datasets.captions_options import RawCaptions
from pipelines.datasets.captions_tables import read_caption_table
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

NAMES = [f"{number}.jpg" for number in range(12)]


def images(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Write a picture under each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        values = np.random.default_rng(number).integers(0, 256, (8, 9, 3), np.uint8)
        Image.fromarray(values).save(folder / name)
    return folder


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def load(tmp_path: Path, source: Path | str, **options: object) -> Splits[CaptionedImage]:
    kept = DataFolders(tmp_path / "raw", tmp_path / "cache")
    return load_captions(str(source), CaptionOptions(**options), folders=kept)  # type: ignore[arg-type]


def refusal(tmp_path: Path, source: Path | str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(tmp_path, source, **options)
    return str(caught.value)


def rows_of(splits: Splits[CaptionedImage]) -> dict[str, tuple[str, ...]]:
    return {row.name: row.captions for _, rows in splits.named() for row in rows}


def names(splits: Splits[CaptionedImage]) -> list[list[str]]:
    return [[row.name for row in rows] for _, rows in splits.named()]


def table(line: Callable[[str, int], str], head: str = "") -> str:
    return head + "".join(f"{line(name, number)}\n" for name in NAMES for number in range(2))


def caption(name: str, number: int) -> str:
    return f'a "big" dog, or {name}, {number} of 2 |'


COCO = {
    "images": [{"id": it, "file_name": name} for it, name in enumerate(NAMES)],
    "annotations": [
        {"id": 2 * it + number, "image_id": it, "caption": caption(name, number)}
        for number in range(2)
        for it, name in enumerate(NAMES)
    ],
}
FORMS = {
    "captions.csv": table(lambda it, n: f"{it},{caption(it, n)}", "image,caption\n"),
    "captions.txt": table(
        lambda it, n: f'{it},"{caption(it, n)}"'.replace('"big"', '""big""'), "image,caption\n"
    ),
    "Flickr8k.token.txt": table(lambda it, n: f"{it}#{n}\t{caption(it, n)}"),
    "results_2013.token": table(lambda it, n: f"{it}#{n}\t{caption(it, n)}"),
    "results.csv": table(
        lambda it, n: f"{it}| {n}| {caption(it, n)}", "image_name| comment_number| comment\n"
    ),
    "any.tsv": table(lambda it, n: f"{it}\t{caption(it, n)}"),
    "headless.csv": table(lambda it, n: f"{it},{caption(it, n)}"),
    "a.jsonl": table(lambda it, n: json.dumps({"file_name": it, "text": caption(it, n)})),
    "b.jsonl": "".join(
        json.dumps({"image": it, "captions": [caption(it, 0), caption(it, 1)]}) + "\n"
        for it in NAMES
    ),
    "captions_all.json": json.dumps(COCO),
    "list.json": json.dumps(
        [{"file": it, "caption": caption(it, n)} for it in NAMES for n in range(2)], indent=1
    ),
    "by_image.json": json.dumps({it: [caption(it, 0), caption(it, 1)] for it in NAMES}),
    "quoted_list.csv": "filename,raw\n"
    + "".join(
        f'{it},"{json.dumps([caption(it, 0), caption(it, 1)])}"\n'.replace('\\"', '\\""')
        .replace('"[\\""', '"[""')
        .replace('["', '[""')
        .replace('", "', '"", ""')
        .replace('"]"', '""]"')
        for it in NAMES
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_captions(tmp_path: Path, name: str) -> None:
    folder = images(tmp_path / "set" / "Images").parent
    write(folder / name, FORMS[name])
    write(folder / "readme.txt", "about")
    splits = load(tmp_path, folder)
    found = rows_of(splits)
    assert found == {it: (caption(it, 0), caption(it, 1)) for it in NAMES}
    assert splits.card.dropped == {}
    assert rows_of(load(tmp_path, folder / name)) == found
    alone = write(tmp_path / "texts" / name, FORMS[name])
    assert rows_of(load(tmp_path, alone, images=str(folder / "Images"))) == found


@settings(max_examples=12, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1),
        min_size=1,
        max_size=5,
    ),
    delimiter=st.sampled_from(",|;"),
)
def test_unquoted_captions_survive_any_sign(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], delimiter: str
) -> None:
    # A caption in quotes reads the same with and without them.
    texts = [f"x{delimiter}{text}" for text in texts]
    path = tmp_path_factory.mktemp("captions") / "captions.csv"
    lines = [f"image{delimiter}caption", *(f"1.png{delimiter}{text}" for text in texts)]
    lines.append(f"1.png{delimiter}a{delimiter}b{delimiter}c")  # so that a strict reader stumbles
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    remarks = Remarks()
    found = list(read_caption_table(path, CaptionOptions(delimiter=delimiter), remarks))
    assert [it.captions for it in found] == [
        *((text,) for text in texts),
        (f"a{delimiter}b{delimiter}c",),
    ]
    assert found[0] == RawCaptions("1.png", (texts[0],), f"{path}:2")


def test_a_line_that_lacks_its_delimiter_is_named(tmp_path: Path) -> None:
    folder = images(tmp_path / "set")
    text = FORMS["results.csv"] + "3.jpg| 4   A dog runs across the grass .\n"
    path = write(folder / "results.csv", text)
    splits = load(tmp_path, folder)
    wanted = f"1 row(s) without a caption or an image, left out: {path}:26"
    assert wanted in splits.card.notes


def test_lines_that_are_no_rows_are_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "set")
    path = write(folder / "captions.csv", "image,caption\na\nb\n1.jpg,x\n")
    assert refusal(tmp_path, folder) == (
        f"{path}: 2 of 3 lines have fewer fields than the 2 of the first (image, caption), split "
        "by ','; expected an image and a caption a line; give --delimiter"
    )


def flickr8k(tmp_path: Path) -> Path:
    folder = tmp_path / "flickr8k"
    images(folder / "Flicker8k_Dataset")
    texts = folder / "Flickr8k_text"
    write(texts / "Flickr8k.token.txt", FORMS["Flickr8k.token.txt"])
    write(texts / "Flickr8k.lemma.token.txt", FORMS["Flickr8k.token.txt"].replace("dog", "cat"))
    write(texts / "CrowdFlowerAnnotations.txt", "1.jpg\t2.jpg#0\t1\n")
    write(texts / "readme.txt", "about")
    write(texts / "Flickr_8k.trainImages.txt", "".join(f"{it}\n" for it in NAMES[:7]))
    write(texts / "Flickr_8k.devImages.txt", "".join(f"{it}\n" for it in NAMES[7:9]))
    write(texts / "Flickr_8k.testImages.txt", "".join(f"{it}\n" for it in [*NAMES[9:11], "z.jpg"]))
    return folder


def test_flickr8k_keeps_its_split_lists(tmp_path: Path) -> None:
    folder = flickr8k(tmp_path)
    splits = load(tmp_path, folder)
    assert names(splits) == [NAMES[:7], NAMES[7:9], NAMES[9:11]]
    assert splits.card.dropped == {"in no split list": 1}
    path = folder / "Flickr8k_text" / "Flickr_8k.testImages.txt"
    assert f"1 listed image(s) without a caption: {path}:3 (z.jpg)" in splits.card.notes
    assert "dog" in splits.test[0].captions[0]


def test_lists_can_be_given_beside_a_caption_file(tmp_path: Path) -> None:
    folder = flickr8k(tmp_path)
    source = folder / "Flickr8k_text" / "Flickr8k.token.txt"
    splits = load(tmp_path, source, test_file="Flickr_8k.testImages.txt", valid_share=0.2)
    assert names(splits)[2] == NAMES[9:11]
    assert [len(rows) for _, rows in splits.named()] == [8, 2, 2]
    assert refusal(tmp_path, folder / "Flickr8k_text" / "Flickr_8k.testImages.txt") == (
        f"{folder / 'Flickr8k_text' / 'Flickr_8k.testImages.txt'}: a list of image names, but no "
        "captions; expected captions.csv or captions.txt (image,caption), Flickr8k.token.txt, "
        'results.csv, a .jsonl of {"image", "caption"}, COCO\'s captions_*.json or Karpathy\'s '
        "dataset_*.json; give that, and the list as --valid-file or --test-file"
    )


def test_an_image_in_two_lists_is_refused(tmp_path: Path) -> None:
    folder = flickr8k(tmp_path)
    write(folder / "Flickr8k_text" / "Flickr_8k.devImages.txt", "7.jpg\n3.jpg\n")
    message = refusal(tmp_path, folder)
    assert "Flickr_8k.trainImages.txt:4: '3.jpg' is in the train list, and in the valid" in message
    assert message.endswith("expected each image in one; mend the lists")


def coco_of(wanted: Sequence[int]) -> str:
    content = {
        "images": [COCO["images"][it] for it in wanted],
        "annotations": [it for it in COCO["annotations"] if it["image_id"] in wanted],
    }
    return json.dumps(content)


def test_coco_keeps_train_and_val_and_draws_the_test(tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    images(folder / "train2017", NAMES[:9])
    images(folder / "val2017", NAMES)
    for name in NAMES[:9]:
        (folder / "val2017" / name).unlink()
    for number, name in enumerate(NAMES):  # pictures of val must not be those of train
        path = folder / ("train2017" if number < 9 else "val2017") / name
        values = np.random.default_rng(number).integers(0, 256, (8, 9, 3), np.uint8)
        Image.fromarray(values).save(path)
    write(folder / "annotations" / "captions_train2017.json", coco_of(range(9)))
    write(folder / "annotations" / "captions_val2017.json", coco_of(range(9, 12)))
    write(folder / "annotations" / "instances_val2017.json", '{"not": "read"')
    splits = load(tmp_path, folder)
    assert names(splits)[1] == NAMES[9:] and len(splits.test) == 1 and len(splits.train) == 8
    assert "not read: instances_val2017.json" in splits.card.notes
    alone = load(tmp_path, folder / "annotations" / "captions_val2017.json")
    assert sorted(rows_of(alone)) == sorted(NAMES[9:])


def test_karpathys_splits_are_kept_and_restval_is_trained_on(tmp_path: Path) -> None:
    given = ["train"] * 8 + ["restval", "val", "test", "test"]
    content = {
        "dataset": "flickr8k",
        "images": [
            {
                "filename": name,
                "filepath": "val2014",
                "split": split,
                "sentences": [{"raw": caption(name, 0), "tokens": []}, {"raw": caption(name, 1)}],
            }
            for name, split in zip(NAMES, given, strict=True)
        ],
    }
    folder = images(tmp_path / "set" / "val2014").parent
    path = write(folder / "dataset_flickr8k.json", json.dumps(content))
    write(folder / "captions_val2014.json", json.dumps(COCO))
    splits = load(tmp_path, folder)
    assert [len(rows) for _, rows in splits.named()] == [9, 1, 2]
    assert splits.test[0].captions == (caption("10.jpg", 0), caption("10.jpg", 1))
    content["images"][3]["split"] = "tset"  # type: ignore[index]
    write(path, json.dumps(content))
    assert refusal(tmp_path, folder) == (
        f"{path}:image 4: split 'tset'; did you mean 'test'?; expected one of train, training, "
        "valid, validation, val, dev, development, test, testing, restval; mend the file"
    )


def test_folders_named_after_splits_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for split, part in (("train", NAMES[:8]), ("validation", NAMES[8:10]), ("test", NAMES[10:])):
        for name in part:
            values = np.random.default_rng(int(name[:-4])).integers(0, 256, (8, 9, 3), np.uint8)
            (folder / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / split / name)
        lines = [json.dumps({"file_name": name, "text": name}) for name in part]
        write(folder / split / "metadata.jsonl", "\n".join(lines))
    assert names(load(tmp_path, folder)) == [NAMES[:8], NAMES[8:10], NAMES[10:]]


def test_one_of_equal_files_in_two_forms_is_read(tmp_path: Path) -> None:
    folder = images(tmp_path / "set")
    write(folder / "captions.csv", FORMS["captions.csv"])
    write(folder / "captions.txt", FORMS["captions.txt"])
    assert "not read: captions.txt" in load(tmp_path, folder).card.notes


def test_columns_are_taken_by_name_or_number(tmp_path: Path) -> None:
    folder = images(tmp_path / "set")
    path = write(
        folder / "x.csv", "words,who,where\n" + "".join(f"dog {it},me,{it}\n" for it in NAMES)
    )
    found = load(tmp_path, folder, image_column="where", caption_column="1")
    assert rows_of(found)["3.jpg"] == ("dog 3.jpg",)
    assert refusal(tmp_path, folder) == (
        f"{path}: no column for the image; columns found: 'words', 'who', 'where'; looked for "
        "image, file_name, filename, image_name, image_file, image_path, file, path, img, name, "
        "image_id; give --image-column one of them"
    )
    assert refusal(tmp_path, folder, image_column="wher") == (
        f"{path}: no image column 'wher'; did you mean 'where'?; columns found: 'words', 'who', "
        "'where'; give --image-column one of them"
    )
    assert "image and caption are both column 'where'" in refusal(
        tmp_path, folder, image_column="where", caption_column="3"
    )


REFUSED = {
    "broken": ('{\n "images": [,\n', "x.json:2: not JSON: Expecting value at column 13; expected"),
    "objects": (
        '{"images": [], "annotations": [{"bbox": 1}]}',
        "x.json: annotation 1 has no caption (found ['bbox']); expected the captions file of COCO",
    ),
    "other": ('{"a": {"b": 1}}', "x.json: no captions in this JSON: it is an object with 'a';"),
    "number": ("3", "x.json: no captions in this JSON: it is a int; expected COCO ("),
    "words": ('["a", "b"]', "x.json: no captions in this JSON: it is a list whose element 1 is"),
    "boxes": ('{"images": [{"name": 1}]}', "it is of images with ['name'] (image 1); expected"),
    "line": ('{"image": "0.jpg", "caption": "x"}\n{"image"\n', "x.json:2: not a JSON object:"),
    "deep": ('[{"image": "0.jpg", "caption": [[1]]}]', "x.json:1: 'caption' holds a list ([1]), "),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_json_that_holds_no_captions_is_refused(tmp_path: Path, kind: str) -> None:
    content, message = REFUSED[kind]
    folder = images(tmp_path / "set")
    write(folder / "x.json", content)
    assert message in refusal(tmp_path, folder)


def test_a_folder_without_captions_or_images_says_what_it_holds(tmp_path: Path) -> None:
    folder = images(tmp_path / "set", NAMES[:3])
    write(folder / "readme.txt", "about")
    message = refusal(tmp_path, folder)
    assert message.startswith(
        f"{folder}: no captions in this folder: it holds 3 .jpg, 1 .txt (readme.txt); expected "
        "captions.csv or captions.txt (image,caption), Flickr8k.token.txt, "
    )
    assert message.endswith("give the caption file as DATA= and this folder as --images")
    bare = write(tmp_path / "bare" / "captions.csv", FORMS["captions.csv"])
    assert refusal(tmp_path, bare) == (
        f"{bare}: no images found: {bare.parent}: 1 .csv (captions.csv); expected .png, .apng, "
        ".jpg, .jpeg, .jpe, .jfif, .gif, .webp, .bmp files; give their folder as --images"
    )
    assert refusal(tmp_path, bare, images=str(tmp_path / "no")) == (
        f"--images {tmp_path / 'no'}: no such folder; expected the folder of the images that {bare}"
        " describes; check the path"
    )
    message = refusal(tmp_path, bare, images=str(images(tmp_path / "others", ["a.jpg", "b.jpg"])))
    assert message.startswith(f"{bare}: no image with a caption, of 12 named: ")
    assert f"12 image(s) left out: file not found: {bare}:2 (0.jpg), " in message
    assert message.endswith("check them, or give the folder of the images as --images")


def test_other_sources_are_refused(tmp_path: Path) -> None:
    folder = images(tmp_path / "set")
    assert "0.jpg: an image, expected captions: captions.csv" in refusal(tmp_path, folder / "0.jpg")
    message = refusal(tmp_path, "scene")
    assert "nor is it a built-in set (openmoji, " in message
    assert message.endswith("or tfds:NAME; did you mean 'scenes'?")
    write(folder / "a.csv", FORMS["captions.csv"])
    write(folder / "b.csv", FORMS["captions.csv"])
    assert refusal(tmp_path, folder) == (
        f"{folder}: several caption files: a.csv, b.csv; expected one, or files named after train, "
        "valid and test; give the one as DATA=, and this folder as --images"
    )
