from dataclasses import replace

import numpy as np
import pytest

from pipelines.datasets.frames import check_frames
from pipelines.datasets.frames_checks import segments
from pipelines.datasets.splits import DataCard, Splits
from tests.unit.frame_tables import rows, stream

LABELS = ["walk", "run", "rest"]


def shuffled(seed, runs=12, length=40):
    """Return labels in an order of their own."""
    draw = np.random.default_rng(seed)
    return [LABELS[it] for it in draw.integers(0, 3, runs) for _ in range(length)]


def people(count=9, **options):
    return [
        stream(f"p{number}", shuffled(number), seed=number, **options) for number in range(count)
    ]


def split(streams, *, rate=50.0, card=None, sizes=(4, 2, 3)):
    every = rows(streams, rate=rate)
    first, second = sizes[0], sizes[0] + sizes[1]
    card = card or DataCard(source="t", counts={"train": sizes[0]})
    return Splits(every[:first], every[first:second], every[second:], card)


def found(splits):
    return {it.title: it for it in check_frames(splits)}


def changed(streams, number, change):
    """Return the streams, one of them with other values."""
    values = streams[number].values.copy()
    change(values)
    return [*streams[:number], replace(streams[number], values=values), *streams[number + 1 :]]


def test_good_streams_have_no_finding():
    findings = found(split(people()))
    assert {it.level for it in findings.values()} == {"ok"}
    assert findings["Sizes"].table[1] == ("train", "4", "4", "1,920", "38.4 s")
    label, train, *_ = findings["Classes"].table[1]
    assert train == f"{sum((it.labels == label).sum() for it in people()[:4]):,}"


def test_segments_are_runs_of_equal_labels():
    labels = np.array(list("aabaaac"), object)
    assert list(segments(labels)) == [("a", 2), ("b", 1), ("a", 3), ("c", 1)]


def test_few_groups_and_shared_ones_are_told():
    streams = people(4)
    streams[3] = replace(streams[3], group="p0")
    findings = found(split(streams, sizes=(2, 1, 1)))
    assert "the test holds 1 group(s)" in findings["Sizes"].detail
    assert findings["Groups"].level == "warning"
    assert findings["Groups"].detail.startswith("in train or valid and in test: p0; ")


def test_classes_that_a_split_lacks():
    streams = people()
    odd = streams[8].labels.copy()
    odd[:5] = "swim"
    finding = found(split([*streams[:8], replace(streams[8], labels=odd)]))["Classes"]
    assert finding.level == "error" and "no training frame of 'swim'" in finding.detail
    odd = streams[0].labels.copy()
    odd[:5] = "Walk"
    findings = found(split([replace(streams[0], labels=odd), *streams[1:]]))
    assert findings["Classes"].level == "warning"
    assert "valid lacks 'Walk'; test lacks 'Walk'" in findings["Classes"].detail
    assert findings["Label spelling"].level == "warning"


def test_flicker_is_told_with_its_share():
    streams = people()
    for it in streams:
        it.labels[5:100:10] = "walk"
        it.labels[6:100:10] = "run"
    finding = found(split(streams))["Segments"]
    assert finding.level == "warning" and "are shorter than 5 frames" in finding.detail
    single = [stream(f"p{n}", [LABELS[n % 3]] * 60) for n in range(9)]
    finding = found(split(single, rate=None))["Segments"]
    assert finding.level == "note" and "every stream has a single label" in finding.detail
    assert finding.table[1][3] == "60 frames"


def test_missing_values_are_counted_by_channel():
    def gap(values):
        values[10:30, 1] = np.nan
        values[40, 1] = np.nan

    finding = found(split(changed(people(), 2, gap)))["Missing"]
    assert finding.level == "note" and finding.table[1] == ("ay", "21", "0.5%", "20")

    def much(values):
        values[:, 0] = np.nan

    streams = people()
    for number in range(9):
        streams = changed(streams, number, much)
    findings = found(split(streams))
    assert findings["Missing"].level == "warning" and "100.0%" in findings["Missing"].detail
    assert "the same in all of train: 'ax'" in findings["Constant"].detail


@pytest.mark.parametrize("level", [0.1, -3.0])
def test_constant_channels_and_streams(level):
    def stuck(values):
        values[:, 0] = level

    finding = found(split(changed(people(), 7, stuck)))["Constant"]
    assert "without any change within a stream: 'ax' in 'p7' (1 in all)" in finding.detail
    streams = people()
    for number in range(9):
        streams = changed(streams, number, stuck)
    assert "the same in all of train: 'ax'" in found(split(streams))["Constant"].detail


def test_scales_that_differ_are_told():
    def scaled(values):
        values[:, 1] *= 9.81

    streams = people()
    for number in (6, 7, 8):
        streams = changed(streams, number, scaled)
    finding = found(split(streams))["Scales"]
    assert finding.level == "warning" and "in test than in train: 'ay'; compare" in finding.detail


def test_a_clock_among_the_channels_is_told():
    def counted(values):
        values[:, 0] = np.arange(len(values))

    streams = people()
    for number in range(9):
        streams = changed(streams, number, counted)
    finding = found(split(streams))["Counters"]
    assert finding.level == "warning" and "only rising in every stream: 'ax'" in finding.detail


def test_labels_that_follow_the_clock_are_told():
    fixed = ["rest"] * 100 + ["walk"] * 150 + ["run"] * 150
    streams = [stream(f"p{number}", fixed[: 400 - number]) for number in range(9)]
    finding = found(split(streams))["Order"]
    assert finding.level == "warning"
    assert "alone gives 9" in finding.detail or "alone gives 100" in finding.detail


def test_rates_and_short_streams():
    card = DataCard(source="t", notes=("time: 3 of 9 steps are irregular", "other"))
    findings = found(split(people(), rate=0.05, card=card))
    assert findings["Rate"].level == "warning"
    assert "0.05 frames a second; 3 of 9 steps are irregular" in findings["Rate"].detail
    assert "if the times are milliseconds, give --rate" in findings["Rate"].detail
    short = [*people(8), stream("blip", ["walk"] * 30)]
    finding = found(split(short))["Stream lengths"]
    assert finding.level == "warning" and "shorter than a second: 'blip'" in finding.detail
    unknown = found(split(short, rate=None))
    assert unknown["Rate"].level == "note" and unknown["Stream lengths"].level == "ok"
    card = DataCard(source="t", counts={"train": 9}, dropped={"stream with the values of": 1})
    assert found(split(people(), card=card))["Streams left out"].level == "note"


def test_codes_of_labels_among_the_channels_are_told():
    streams = people()
    for it in streams:
        it.values[:, 1] = [LABELS.index(label) for label in it.labels]
    finding = found(split(streams))["Leaks"]
    assert finding.level == "error" and "every value of 'ay' goes with one label" in finding.detail
    streams[0].values[0, 1] = 2 - streams[0].values[0, 1] or 1
    assert found(split(streams))["Leaks"].level == "ok"


@pytest.mark.parametrize("name", ["subject", "user_id", "Timestamp", "Unnamed: 0", "frame"])
def test_channels_named_as_something_else_are_told(name):
    named = rows(people(), channels=("ax", name))
    splits = Splits(named[:4], named[4:6], named[6:], DataCard(source="t"))
    assert f"not what was measured: {name!r}; name them by" in found(splits)["Leaks"].detail


@pytest.mark.parametrize("name", ["ax", "gyro_x", "emg 1", "pidgin", "timbre"])
def test_names_of_measurements_are_not(name):
    named = rows(people(), channels=("ax", name + "2"))
    splits = Splits(named[:4], named[4:6], named[6:], DataCard(source="t"))
    assert found(splits)["Leaks"].level == "ok"
