"""Fetching default sets: verified, atomic, repaired when damaged, clear when offline."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.datasets import package_index, storage
from pipelines.datasets.archives import extract_member
from pipelines.datasets.package_index import Archive, pip_command
from pipelines.datasets.sources import CATALOGUE, Source, fetch, find_source, load_catalogue
from pipelines.datasets.storage import new_folder, storage_errors
from pipelines.errors import DataError


def tar_bytes(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


SDIST = tar_bytes(
    {
        "toy-1.0/texts/a.txt": b"one",
        "toy-1.0/texts/b.txt": b"two",
        "toy-1.0/extra/inner.tar.gz": tar_bytes({"top/rows.txt": b"nested rows"}),
        "toy-1.0/../../escape.txt": b"out",
    }
)
TOY = Source(
    name="toys",
    archive=Archive("toy", "1.0", "sdist", hashlib.sha256(SDIST).hexdigest(), len(SDIST)),
    task="sentiment",
    licence="MIT",
    citation="Nobody (2026)",
    language="en",
    description="toys",
    members={"rows": "extra/inner.tar.gz!top/rows.txt", "texts": "texts/*.txt"},
)


class FakePip:
    """Stands in for the pip process: writes `content`, or fails with `errors` on stderr."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, content=SDIST, errors="", interrupt=False):
        self.content, self.errors, self.interrupt, self.calls = content, errors, interrupt, 0
        self.killed = False
        monkeypatch.setattr(package_index, "POLL_SECONDS", 0.0)
        monkeypatch.setattr(subprocess, "Popen", self.start)

    def start(self, command, *, stderr, **options):
        self.calls += 1
        folder = Path(command[command.index("--dest") + 1])
        if self.errors:
            stderr.write(self.errors.encode())
        else:
            (folder / "toy-1.0.tar.gz").write_bytes(self.content)
        self.polls = 0
        return self

    def poll(self):
        self.polls += 1
        if self.interrupt and self.polls > 1 and not self.killed:
            raise KeyboardInterrupt
        return None if self.polls == 1 else 0

    def kill(self):
        self.killed = True

    def wait(self):
        return 0


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> FakePip:
    return FakePip(monkeypatch)


def test_catalogue_is_complete_and_names_no_address() -> None:
    catalogue = load_catalogue()
    tasks = {source.task for source in catalogue.values()}
    assert {"sentiment", "pos", "ner", "forecasting", "translation", "captioning"} <= tasks
    assert {"language_model", "frame_labelling"} <= tasks
    for source in catalogue.values():
        assert len(source.archive.sha256) == 64 and source.archive.kind in ("sdist", "wheel")
        assert source.members and source.licence and source.citation and source.description
    assert "://" not in CATALOGUE.read_text(encoding="utf-8")


def test_every_set_is_described_in_the_data_readme() -> None:
    readme = (CATALOGUE.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in load_catalogue() if f"`{name}`" not in readme] == []


def test_unknown_set_is_answered_with_a_guess() -> None:
    with pytest.raises(DataError, match=r"'film-review'; did you mean 'film-reviews'\?; known:"):
        find_source("film-review")


def test_malformed_catalogue_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text("[archives.a]\npackage = 'a'\n[sets]\n")
    with pytest.raises(DataError, match=r"sources.toml: cannot read .* restore the file"):
        load_catalogue(path)


def test_fetch_extracts_nested_and_starred_members(tmp_path: Path, pip: FakePip) -> None:
    told: list[str] = []
    members = fetch(TOY, tmp_path, progress=told.append)
    assert members["rows"].read_bytes() == b"nested rows"
    assert [path.read_bytes() for path in sorted(members["texts"].iterdir())] == [b"one", b"two"]
    assert told[0].startswith("fetching toy 1.0: 0.0 of 0.0 MB")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy-1.0", "toys"]
    assert [path.name for path in (tmp_path / "toy-1.0").iterdir()] == ["toy-1.0.tar.gz"]


def test_fetch_again_downloads_and_extracts_nothing(tmp_path: Path, pip: FakePip) -> None:
    first = fetch(TOY, tmp_path)
    stamp = first["rows"].stat().st_mtime_ns
    assert fetch(TOY, tmp_path) == first and pip.calls == 1
    assert first["rows"].stat().st_mtime_ns == stamp


def test_changed_member_is_extracted_again(tmp_path: Path, pip: FakePip) -> None:
    members = fetch(TOY, tmp_path)
    members["rows"].write_bytes(b"spoilt")
    (members["texts"] / "b.txt").unlink()
    members = fetch(TOY, tmp_path)
    assert members["rows"].read_bytes() == b"nested rows" and pip.calls == 1
    assert (members["texts"] / "b.txt").exists()


def test_damaged_archive_is_fetched_anew_once(
    tmp_path: Path, pip: FakePip, caplog: pytest.LogCaptureFixture
) -> None:
    members = fetch(TOY, tmp_path)
    members["rows"].unlink()
    archive = tmp_path / "toy-1.0" / "toy-1.0.tar.gz"
    archive.write_bytes(SDIST[:-9])
    assert fetch(TOY, tmp_path)["rows"].read_bytes() == b"nested rows"
    assert pip.calls == 2 and archive.read_bytes() == SDIST
    assert "toy-1.0.tar.gz is damaged (sha256 differs)" in caplog.text


def test_wrong_checksum_says_got_expected_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePip(monkeypatch, content=b"something else")
    got = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(DataError) as caught:
        fetch(TOY, tmp_path)
    assert f"has sha256 {got}, expected {TOY.archive.sha256}" in str(caught.value)
    assert "try again" in str(caught.value) and list(tmp_path.iterdir()) == []


def test_checksum_that_pip_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakePip(monkeypatch, errors=f"ERROR: HASHES\n  Expected sha256 a\n   Got        {'b' * 64}\n")
    with pytest.raises(DataError, match=rf"has sha256 {'b' * 64}, expected {TOY.archive.sha256}"):
        fetch(TOY, tmp_path)


def test_no_network_names_set_reason_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePip(monkeypatch, errors="WARNING: x\nERROR: no answer from https://some.host/simple ok\n\n")
    with pytest.raises(DataError) as caught:
        fetch(TOY, tmp_path)
    message = str(caught.value)
    assert (
        "data set 'toys' is not cached and the package index did not answer: ERROR: no" in message
    )
    assert "or give DATA=" in message and "some.host" not in message
    assert list(tmp_path.iterdir()) == []


def test_real_pip_without_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(DataError, match=r"did not answer: ERROR: No matching distribution"):
        fetch(replace(TOY, archive=replace(TOY.archive, package="no-such-toy")), tmp_path)


def test_interruption_stops_pip_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = FakePip(monkeypatch, interrupt=True)
    with pytest.raises(KeyboardInterrupt):
        fetch(TOY, tmp_path)
    assert list(tmp_path.iterdir()) == [] and pip.calls == 1


def test_pip_checks_the_hash_before_it_looks_inside(tmp_path: Path) -> None:
    command = pip_command(TOY.archive, tmp_path)
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command and command[command.index("--no-binary") + 1] == "toy"
    assert "--no-binary" not in pip_command(replace(TOY.archive, kind="wheel"), tmp_path)
    requirement = (tmp_path / "requirement.txt").read_text()
    assert requirement == f"toy==1.0 --hash=sha256:{TOY.archive.sha256}\n"


def test_member_absent_from_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "toy-1.0.tar.gz"
    archive.write_bytes(SDIST)
    with pytest.raises(DataError, match=r"no member 'texts/c.txt' .*did you mean 'texts/[ab].txt'"):
        extract_member(archive, "texts/c.txt", tmp_path / "c.txt")


def test_no_member_escapes_its_target(tmp_path: Path) -> None:
    archive = tmp_path / "deep" / "toy-1.0.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(SDIST)
    extract_member(archive, "*escape.txt", tmp_path / "deep" / "out")
    assert (tmp_path / "deep" / "out" / "escape.txt").read_bytes() == b"out"
    assert not (tmp_path / "escape.txt").exists()


def test_damaged_archive_is_named(tmp_path: Path) -> None:
    for name, content in (("toy-1.0.tar.gz", SDIST[:200]), ("toy-1.0.whl", b"PK nothing")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: damaged archive .*fetch it again"):
            extract_member(tmp_path / name, "a.txt", tmp_path / "a.txt")


def test_wheel_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "toy-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy/data.csv", "text,label\n")
    extract_member(tmp_path / "toy-1.0-py3-none-any.whl", "toy/data.csv", tmp_path / "data.csv")
    assert (tmp_path / "data.csv").read_text() == "text,label\n"


def test_new_folder_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with new_folder(target) as partial:
        (partial / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), new_folder(target) as partial:
        (partial / "two").write_text("2")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "one"]


def test_another_run_that_was_faster_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"
    real = storage.shutil.rmtree

    def other_run_finishes(path, **options):
        real(path, **options)
        if path == target:
            target.mkdir()
            (target / "theirs").write_text("equal")

    monkeypatch.setattr(storage.shutil, "rmtree", other_run_finishes)
    with new_folder(target) as partial:
        (partial / "ours").write_text("equal")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "theirs"]


def test_what_a_killed_run_left_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".folder-old").mkdir()
    with new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / ".folder-old").exists()
    monkeypatch.setattr(storage, "ABANDONED_SECONDS", -1.0)
    with new_folder(tmp_path / "folder"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("number", [28, 30, 13])
def test_disk_errors_name_the_place_and_the_remedy(number: int) -> None:
    with (
        pytest.raises(DataError, match=r"cannot write data/cache: .*; .* place.*DATA_HOME moves"),
        storage_errors(Path("data/cache")),
    ):
        raise OSError(number, "reason")
    with pytest.raises(OSError, match="reason"), storage_errors(Path("data/cache")):
        raise OSError(5, "reason")


@pytest.mark.network
@pytest.mark.parametrize("name", ["film-reviews", "tweets"])
def test_real_fetch(name: str) -> None:
    (path,) = fetch(find_source(name), CATALOGUE.parent / "raw").values()
    assert path.stat().st_size > 1_000_000
