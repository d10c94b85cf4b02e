"""`predict` of a captioner, from the command line to what is printed and drawn."""

import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines import cli
from pipelines.captioning import predicting
from pipelines.captioning.serving import CaptionServing
from pipelines.evaluation import image_attention
from pipelines.export.saved_model import write_saved_model
from pipelines.export.serving import ServedModel
from pipelines.workspace import Folders
from tests.graph.tiny_captioners import PICTURES, artifacts_of, config_of, model_of


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where two exported versions are: the latest, 2, looks at images, and 1 does not."""
    home = tmp_path_factory.mktemp("models") / "captioning"
    config = config_of(consensus=False, max_tokens=6, fit="crop")
    endpoints = CaptionServing(model_of(config), artifacts_of(config), config).endpoints()
    (home / "1").mkdir(parents=True)  # is never asked: what it lacks is in its manifest
    asked = ("serve", "n_best", "attention")
    write_saved_model(home / "2", {name: endpoints[name] for name in asked})
    for version, attention in (("1", "none"), ("2", "dot")):
        extra = home / version / "assets.extra"
        extra.mkdir()
        manifest = {"config": asdict(replace(config, attention=attention))}
        (extra / "manifest.json").write_text(json.dumps(manifest))
    return home


@pytest.fixture(scope="module")
def served(home):
    """The exported model, loaded once, and its answers about `PICTURES`."""
    model = ServedModel(home / "2")
    return model, model.call({"image": PICTURES}), model.call({"image": PICTURES}, "n_best")


@pytest.fixture
def predict(home, served, monkeypatch, capsys):
    """Return a function from arguments to the exit code, and what is told."""
    monkeypatch.setenv("SAVED_MODELS", str(home.parent))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(predicting, "load_served", lambda version: loaded(version, served))

    def run(*arguments):
        code = cli.main(["predict", "captioning", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def loaded(version, served):
    assert version == Folders.default().saved_models / "captioning" / "2"
    return served[0]


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(PICTURES[0])
    return path


@pytest.fixture
def folder(tmp_path):
    """Three images, one of them in a subfolder, and what is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    (folder / "b.PNG").write_bytes(PICTURES[1])
    (folder / "more" / "c.png").write_bytes(PICTURES[2])
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(folder / "a.jpg")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_an_image_has_its_caption_printed_alone(predict, image, served):
    code, out, err = predict("--file", image)
    assert (code, err) == (0, "")
    assert out.splitlines() == [line_of(served[1], 0)]


def line_of(found, row):
    cut = "" if found["complete"][row] else "  (cut at the longest length)"
    return f"{found['caption'][row]}{cut}"


def test_the_pictures_show_a_whole_caption_and_a_cut_one(served):
    """Or what is printed of either would not be tested."""
    assert {True, False} == set(served[1]["complete"][:3].tolist())


def test_scores_are_shown_if_asked_for(predict, image, served):
    _, out, _ = predict("--file", image, "--scores")
    assert out.rstrip("\n") == f"{served[1]['score'][0]:8.3f}  {line_of(served[1], 0)}"


def test_the_best_few_are_shown_best_first(predict, image, served):
    code, out, _ = predict("--file", image, "--n-best", "3")
    lines = out.splitlines()
    assert code == 0
    assert [float(line.split()[0]) for line in lines] == pytest.approx(
        served[2]["scores"][0], abs=6e-4
    )
    captions = [line[10:].removesuffix("  (cut at the longest length)") for line in lines]
    assert captions == list(served[2]["captions"][0])
    assert len(predict("--file", image, "--n-best", "2")[1].splitlines()) == 2


def test_no_more_are_shown_than_the_model_keeps(predict, image):
    code, out, err = predict("--file", image, "--n-best", "4")
    assert (code, out) == (2, "")
    assert "option --n-best is 4; it must be at most 3, the --beam this model was trained" in err


def test_a_folder_is_captioned_in_order_subfolders_too(predict, folder, served):
    code, out, _ = predict("--file", folder)
    lines = out.splitlines()
    assert code == 0
    assert lines[::2] == [str(folder / name) for name in ("a.jpg", "b.PNG", "more/c.png")]
    assert lines[3::2] == [line_of(served[1], 1), line_of(served[1], 2)]


def test_json_has_a_line_for_each_image(predict, folder, served):
    _, out, _ = predict("--file", folder, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["image"] for row in rows] == [
        str(folder / name) for name in ("a.jpg", "b.PNG", "more/c.png")
    ]
    assert rows[1] == {
        "image": str(folder / "b.PNG"), "caption": served[1]["caption"][1],
        "score": pytest.approx(served[1]["score"][1], rel=1e-5),
        "complete": bool(served[1]["complete"][1]),
    }  # fmt: skip


def test_json_lists_the_best_few_whenever_they_are_asked_for(predict, image, served, monkeypatch):
    """Also where only one was found: a program reads one form."""
    (row,) = map(json.loads, predict("--file", image, "--json", "--n-best", "2")[1].splitlines())
    assert [entry["caption"] for entry in row["n_best"]] == list(served[2]["captions"][0][:2])
    lone = {name: values[:1].copy() for name, values in served[2].items()}
    lone["scores"][:, 1:] = -np.inf
    monkeypatch.setattr(served[0], "call", lambda inputs, endpoint: lone)
    (row,) = map(json.loads, predict("--file", image, "--json", "--n-best", "2")[1].splitlines())
    assert list(row) == ["image", "n_best"]
    assert len(row["n_best"]) == 1


def test_a_broken_image_is_named_and_the_others_are_captioned(predict, folder, served):
    (folder / "b.PNG").write_bytes(PICTURES[1][:100])
    (folder / "e.gif").write_bytes(b"")
    code, out, err = predict("--file", folder)
    assert code == 1
    assert out.splitlines()[::2] == [str(folder / name) for name in ("a.jpg", "more/c.png")]
    assert out.splitlines()[3] == line_of(served[1], 2)
    first, second = err.splitlines()
    assert first.startswith(f"error: {folder / 'b.PNG'}: cannot be read as an image")
    assert "it is damaged, cut off or of a rare kind: copy it again" in first
    assert second.startswith(f"error: {folder / 'e.gif'}: the file is empty; expected PNG, JPEG")


def test_what_is_no_image_is_said_to_be_none(predict, tmp_path):
    path = tmp_path / "photo.png"
    path.write_text("<html>404</html>")
    code, out, err = predict("--file", path)
    assert (code, out) == (1, "")
    assert "it is a web page, such as a server sends instead of a missing image" in err


def test_a_folder_without_an_image_is_told_before_a_model_is_loaded(predict, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "load_served", None)
    (tmp_path / "notes.txt").write_text("x")
    code, _, err = predict("--file", tmp_path)
    assert code == 1
    assert f"{tmp_path}: no image in this folder; expected files that end in .png, .jpg" in err


@pytest.mark.parametrize("name", ["look.png", "look.svg"])
def test_attention_is_drawn_for_each_word(predict, image, served, name, tmp_path, monkeypatch):
    whole = served[1]["complete"]
    row = next(row for row in range(5) if served[1]["caption"][row] and whole[row])
    image.write_bytes(PICTURES[row])
    save, looks = image_attention.save_attention, []

    def watched(path, look, picture):
        looks.append(look)
        save(path, look, picture)

    monkeypatch.setattr(image_attention, "save_attention", watched)
    code, out, _ = predict("--file", image, "--attention", tmp_path / name)
    assert code == 0
    assert out.splitlines() == [line_of(served[1], row)]
    drawn = (tmp_path / name).read_bytes()
    if name.endswith("png"):
        assert min(Image.open(io.BytesIO(drawn)).size) > 200
    else:
        assert b"<svg" in drawn
    caption = served[1]["caption"][row]
    found = served[0].call({"image": [PICTURES[row]], "caption": [caption]}, "attention")
    assert " ".join(looks[0].tokens) == caption
    assert looks[0].fit == "crop"  # what is drawn is the square that the model saw
    np.testing.assert_allclose(looks[0].weights, found["weights"][0][: len(looks[0].tokens)])


def test_a_model_without_attention_has_none_to_draw(predict, home, image, tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "load_served", None)
    picture = tmp_path / "look.png"
    code, _, err = predict("--file", image, "--attention", picture, "--model", home / "1")
    assert code == 2
    assert "was trained with --attention none, so there is nothing to draw; train with" in err
    assert not picture.exists()


def test_where_a_picture_cannot_go_is_told_before_a_model_is_loaded(predict, image, monkeypatch):
    monkeypatch.setattr(predicting, "load_served", None)
    code, _, err = predict("--file", image, "--attention", "look.txt")
    assert code == 2
    assert "option --attention: 'look.txt' ends with '.txt'; expected one of" in err


def test_names_and_captions_are_printed_as_they_are(predict, tmp_path, served, monkeypatch):
    """Square brackets are no markup."""
    folder = tmp_path / "[bold]x"
    folder.mkdir()
    for name in ("a.png", "[red].png"):
        (folder / name).write_bytes(PICTURES[0])
    answer = {
        "caption": np.array(["keycap: [red]"], object), "score": np.array([-1.0]),
        "complete": np.array([True]),
    }  # fmt: skip
    monkeypatch.setattr(served[0], "call", lambda inputs, endpoint: answer)
    _, out, _ = predict("--file", folder)
    assert out.splitlines() == [
        str(folder / "[red].png"), "keycap: [red]", str(folder / "a.png"), "keycap: [red]",
    ]  # fmt: skip


def test_the_errors_of_tensorflow_are_told_as_such(served):
    """What `predict` relies on to tell a broken file from a broken model."""
    with pytest.raises(tf.errors.InvalidArgumentError):
        served[0].call({"image": [PICTURES[0][:100]]})
