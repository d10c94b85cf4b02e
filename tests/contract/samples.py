"""Tiny data and settings for every task: a new task adds one entry and gets all contract tests."""

import random

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


SAMPLES = {
    "sentiment": (sentiment, {"embedding_size": 8, **TINY}),
}
