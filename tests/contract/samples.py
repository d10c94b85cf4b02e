"""Tiny data and settings for every task: a new task adds one entry and gets all contract tests."""

import math
import random
from datetime import datetime, timedelta

from PIL import Image, ImageDraw

TINY = {"units": 4, "epochs": 2, "batch_tokens": 128, "patience": 9}


def sentiment(folder):
    """Short opinions whose label follows from their words, some held out by hash."""
    rng = random.Random(0)
    words = {"good": ["fine", "lovely", "warm"], "bad": ["dull", "awful", "cold"]}
    filler = [
        "the",
        "film",
        "was",
        "and",
        "so",
        "it",
        "plot",
        "scene",
        "music",
        "actor",
        "long",
        "short",
        "again",
    ]
    lines = ["text,label"]
    for number in range(160):
        label = ("good", "bad")[number % 2]
        chosen = [*rng.choices(filler, k=rng.randint(2, 9)), rng.choice(words[label]), f"w{number}"]
        rng.shuffle(chosen)
        lines.append(f"{' '.join(chosen)},{label}")
    path = folder / "opinions.csv"
    path.write_text("\n".join(lines))
    return str(path)


WORDS = {
    "DET": ["the", "a", "every"],
    "ADJ": ["small", "green", "loud", "old"],
    "NOUN": ["dog", "house", "river", "song", "Anna", "Rome"],
    "VERB": ["sees", "crosses", "likes", "leaves"],
    "PUNCT": [".", "!"],
}


def pos(folder):
    """Sentences of one pattern, some with a contraction, in CoNLL-U."""
    rng = random.Random(0)
    blocks = []
    for number in range(120):
        tags = ["DET", "ADJ", "NOUN", "VERB", "DET", "NOUN", "PUNCT"][rng.randint(0, 2) :]
        rows = [(rng.choice(WORDS[tag]), tag) for tag in tags]
        rows[0] = (f"{rows[0][0]}{number}", rows[0][1])  # distinct sentences, unknown words
        written = [word for word, _ in rows]
        lines = [f"{place}\t{word}\t_\t{tag}\t_" for place, (word, tag) in enumerate(rows, 1)]
        if rng.random() < 0.3:  # "tothe" stands for two words
            lines[-1:-1] = [
                f"{len(rows)}-{len(rows) + 1}\ttothe\t_\t_\t_",
                f"{len(rows)}\tto\t_\tADP\t_",
                f"{len(rows) + 1}\tthe\t_\tDET\t_",
            ]
            lines[-1] = f"{len(rows) + 2}\t{rows[-1][0]}\t_\tPUNCT\t_"
            written[-1:-1] = ["tothe"]
        full = [line + "\t_" * 5 for line in lines]
        blocks.append("\n".join([f"# text = {' '.join(written)}", *full, "", ""]))
    path = folder / "sentences.conllu"
    path.write_text("".join(blocks))
    return str(path)


def ner(folder):
    """Sentences with names of people (one or two words) and places, in columns."""
    rng = random.Random(0)
    lines = []
    for number in range(120):
        person = rng.choice([["Anna"], ["Bo"], ["Anna", "Berg"], ["Carl", "Dahl"]])
        place = rng.choice(["Rome", "Oslo", "Lima"])
        words = [*person, rng.choice(["left", "saw", "liked"]), place, f"on day{number}", "."]
        tags = [*["B-person", "I-person"][: len(person)], "O", "B-place", "O", "O", "O"]
        words = " ".join(words).split()
        lines += [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)]
        lines.append("")
    path = folder / "names.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def forecasting(folder):
    """Two series of hours with covariates of every kind and missing values.

    Their wave is not the season the settings name: a seasonal change, the unit of errors, is large.
    """
    rng = random.Random(0)
    start = datetime(2024, 1, 1)
    lines = ["series,time,load,wind,sky,price,region"]
    for name, size, region in (("north", 10.0, "hills"), ("south", 30.0, "plain")):
        for hour in range(420):
            stamp = start + timedelta(hours=hour)
            wave = math.sin(2 * math.pi * hour / 10)
            load = "" if rng.random() < 0.03 else f"{size * (2 + wave) + 0.01 * rng.random():.3f}"
            sky = rng.choice(["clear", "rain"])
            cells = [name, f"{stamp:%Y-%m-%d %H:%M}", load, f"{wave:.2f}", sky, hour % 5, region]
            lines.append(",".join(map(str, cells)))
    path = folder / "loads.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


NOUNS = {"dog": "chien", "cat": "chat", "king": "roi", "field": "champ", "son": "fils"}
ADJECTIVES = {"small": "petit", "green": "vert", "old": "vieux", "great": "grand"}
VERBS = {"sees": "voit", "leaves": "quitte", "loves": "aime"}


def translation(folder):
    """Sentences whose adjectives change sides, in two columns."""
    rng = random.Random(0)
    lines = ["en\tfr"]
    for number in range(100):
        one, other = rng.sample(sorted(NOUNS), 2)
        kind, verb = rng.choice(sorted(ADJECTIVES)), rng.choice(sorted(VERBS))
        source = f"the {kind} {one} {verb} the {other} {number} ."
        target = f"Le {NOUNS[one]} {ADJECTIVES[kind]} {VERBS[verb]} le {NOUNS[other]} {number}."
        lines.append(f"{source}\t{target}")
    path = folder / "sentences.tsv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


SCENE = ["the dog sees a cat.", "a cat leaves the house.", "the king loves rain.", "no one sings."]


def language_model(folder):
    """Short scenes of the same sentences in the same order, one a file, in a folder."""
    scenes = folder / "scenes"
    scenes.mkdir()
    for number in range(40):
        lines = [SCENE[(number + place) % len(SCENE)] for place in range(6)]
        (scenes / f"{number:02}.txt").write_text("\n".join([f"SCENE {number}", *lines, ""]))
    return str(scenes)


COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 220)}
PLACES = {"left": (1, 7), "right": (11, 7), "top": (6, 1), "bottom": (6, 13)}


def captioning(folder):
    """Small pictures of one square each, in several colours and places, in a folder."""
    rng = random.Random(0)
    pictures = folder / "pictures"
    pictures.mkdir()
    lines = ["image,caption"]
    for number in range(100):
        colour, place = rng.choice(sorted(COLOURS)), rng.choice(sorted(PLACES))
        left, top = PLACES[place]
        square = (left, top, left + 6, top + 6 + number % 3)
        picture = Image.new("RGB", (19 + number % 2, 20), (255, 255, 255 - number))
        ImageDraw.Draw(picture).rectangle(square, fill=COLOURS[colour])
        picture.save(pictures / f"{number:03}.png")
        lines.append(f"{number:03}.png,a {colour} square at the {place}")
        if number % 4 == 0:
            lines.append(f"{number:03}.png,the {place} is {colour}")
    (pictures / "captions.csv").write_text("\n".join(lines) + "\n")
    return str(pictures)


TAGGER = {"embedding_size": 8, "affix_size": 4, "character_units": 3, "character_size": 4, **TINY}

FORECASTER = {
    "series_column": "series", "targets": ("load",), "past_covariates": ("wind", "sky"),
    "known_covariates": ("price",), "static_covariates": ("region",), "history": 24, "horizon": 6,
    "season": 12, "decoder_units": 8, **TINY,
}  # fmt: skip

WRITER = {
    **TINY, "embedding_size": 8, "batch_tokens": 256, "window": 64, "valid_share": 0.15,
    "test_share": 0.15, "ngram_orders": (1, 3), "ngram_buckets": 500,
}  # fmt: skip

TRANSLATOR = {
    "embedding_size": 8, "decoder_units": 6, "vocabulary_size": 80, "beam": 2, "valid_share": 0.15,
    "test_share": 0.15, "max_tokens": 24, **TINY,
}  # fmt: skip

CAPTIONER = {
    **TINY, "embedding_size": 8, "image_size": 16, "widths": (6, 8), "blocks": (1, 1), "beam": 2,
    "valid_share": 0.15, "test_share": 0.15, "max_tokens": 12,
}  # fmt: skip


def frames(folder):
    """Two channels that swing fast or slowly by label, of twenty wearers."""
    rng = random.Random(0)
    lines = ["subject,ax,ay,label"]
    for subject in range(20):
        phase = 0.0
        for _ in range(4):
            label, speed = rng.choice([("walk", 0.3), ("run", 1.1)])
            for _ in range(3 * rng.randint(5, 8)):  # whole patches, which can be told apart
                phase += speed
                values = math.sin(phase) + rng.gauss(0, 0.1), math.cos(phase) + rng.gauss(0, 0.1)
                lines.append(f"s{subject},{values[0]:.4f},{values[1]:.4f},{label}")
    path = folder / "wearers.csv"
    path.write_text("\n".join(lines))
    return str(path)


LABELLER = {**TINY, "stream_column": "subject", "window": 24, "patch": 3, "causal": True,
            "stretch": 0.0}  # fmt: skip
SAMPLES = {
    "captioning": (captioning, CAPTIONER),
    "forecasting": (forecasting, FORECASTER),
    "frames": (frames, LABELLER),
    "language_model": (language_model, WRITER),
    "ner": (ner, TAGGER),
    "pos": (pos, TAGGER),
    "sentiment": (sentiment, {"embedding_size": 8, **TINY}),
    "translation": (translation, TRANSLATOR),
}
