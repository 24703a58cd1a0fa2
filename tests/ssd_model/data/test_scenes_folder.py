"""The folder of drawn scenes: made, left alone, replaced; strangers are never touched."""

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest

from ssd_model.data.scenes import write_scenes, writer


def test_a_complete_folder_is_left_alone(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "signs", 2, 1, processes=1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write_scenes(folder, 2, 1, processes=1)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("change", ["version", "seed", "count"])
def test_another_set_replaces_the_old_one(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scenes(tmp_path / "signs", 2, 1, processes=1)
    picture = next(iter(sorted(folder.glob("JPEGImages/*"))))
    picture.write_bytes(b"an older look")
    if change == "version":
        monkeypatch.setattr(writer, "VERSION", writer.VERSION + 1)
    wanted = (1, 1) if change == "count" else (2, 1)
    write_scenes(folder, *wanted, seed=int(change == "seed"), processes=1)
    assert picture.read_bytes() != b"an older look"
    assert len(list(folder.glob("JPEGImages/*.jpg"))) == sum(wanted)
    assert json.loads((folder / "scenes.json").read_text())["version"] == writer.VERSION


def test_names_that_a_terminal_cannot_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(shown, "ascii", write_through=True))
    monkeypatch.setattr(sys, "argv", ["scenes", "--out", str(tmp_path / "знак")])
    monkeypatch.setattr(writer, "write_scenes", lambda out, *rest: out)
    writer.main()
    assert rb"\u0437\u043d\u0430\u043a" in shown.getvalue()


def test_a_foreign_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="mine"):
        write_scenes(tmp_path / "mine", 1, 1, processes=1)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"


def test_a_foreign_scenes_json_does_not_pass_for_ours(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scenes.json").write_text('{"version": 1}')
    with pytest.raises(FileExistsError):
        write_scenes(tmp_path / "mine", 1, 1, processes=1)


def test_a_stranger_in_our_folder_is_never_deleted(tmp_path: Path) -> None:
    folder = write_scenes(tmp_path / "signs", 1, 1, processes=1)
    (folder / "notes.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        write_scenes(folder, 2, 1, processes=1)
    assert (folder / "notes.txt").read_text() == "keep me"


def test_an_empty_folder_is_filled_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "signs").mkdir()
    write_scenes(tmp_path / "signs", 1, 1, processes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["signs"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(rng: np.random.Generator) -> None:
        raise RuntimeError("no paint")

    monkeypatch.setattr(writer, "compose", fail)
    with pytest.raises(RuntimeError, match="no paint"):
        write_scenes(tmp_path / "signs", 1, 1, processes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_was_not_quite_replaced_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scenes(tmp_path / "signs", 1, 1, processes=1)
    rename, renamed = Path.rename, []

    def rename_once(path: Path, target: Path) -> Path:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", rename_once)
        write_scenes(folder, 2, 1, processes=1)
    write_scenes(folder, 2, 1, processes=1)
    assert len(list(folder.glob("JPEGImages/*.jpg"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["signs"]


def test_negative_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="negative"):
        write_scenes(tmp_path / "signs", -1, 1)
