"""A run of the workbook: what is refused before any work, and what makes two runs differ."""

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from ssd_model.weights import read_tensors, write_tensors
from tests.helpers.voc_folder import make_voc
from utils.paths import BASELINE
from utils.workspace import MAX_SEED, Workspace


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 20240101123])
def test_a_seed_out_of_range(tmp_path, seed):
    with pytest.raises(ValueError, match=rf"seed is {seed}: it must lie between 0 and 1,000,"):
        Workspace(str(tmp_path), seed=seed)


@pytest.mark.parametrize("said", ["abc", "0", "-1", "2.5"])
def test_workers_that_are_no_number(tmp_path, monkeypatch, said):
    monkeypatch.setenv("WORKERS", said)
    with pytest.raises(ValueError, match=f"WORKERS is '{said}'"):
        Workspace(str(tmp_path))


def test_workers_that_cannot_share_a_batch_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKERS", "3")
    with pytest.raises(ValueError, match="BATCH_SIZE=8 must be a multiple of WORKERS=3"):
        Workspace(str(tmp_path))
    assert Workspace(str(tmp_path), options={"batch_size": 6}).profile.batch_size == 6


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    voc = make_voc(tmp_path / "pets")
    (tmp_path / "mine.safetensors").write_bytes(BASELINE.read_bytes())
    work = Workspace("~/out", "~/pets", "smoke", options={"pretrained": "~/mine.safetensors"})
    assert (work.output, work.data_dir) == (tmp_path / "out", voc)
    assert work.pretrained == tmp_path / "mine.safetensors"


def test_other_weights_in_the_same_file_are_another_run(tmp_path):
    voc = make_voc(tmp_path / "pets")
    arrays, _ = read_tensors(BASELINE)

    def key(path: Path, bias: float = 0) -> str:
        write_tensors(path, arrays | {"conv2d_22.b_0": arrays["conv2d_22.b_0"] + bias})
        options = {"pretrained": str(path)}
        return Workspace(str(tmp_path), str(voc), "smoke", options=options).key

    first = key(tmp_path / "best.safetensors")
    assert key(tmp_path / "best.safetensors", bias=1) != first
    assert key(tmp_path / "moved.safetensors") == first


def test_what_is_the_default_anyway_is_no_other_run(tmp_path):
    voc = make_voc(tmp_path / "pets")
    usual, yes, no = (
        Workspace(str(tmp_path), str(voc), "smoke", options=options).key
        for options in ({}, {"flip": True}, {"flip": False})
    )
    assert usual == yes != no


def test_another_picture_of_the_same_name_is_another_run(tmp_path):
    """Its boxes stay, but what was learnt from the old picture says nothing about the new one."""
    voc = make_voc(tmp_path / "pets")
    image = sorted((voc / "JPEGImages").iterdir())[0]

    def key() -> str:
        return Workspace(str(tmp_path), str(voc), "smoke").key

    first, content = key(), image.read_bytes()
    with Image.open(image) as picture:
        ImageOps.invert(picture.convert("RGB")).save(image)
    assert key() != first
    image.write_bytes(content)
    assert key() == first


def test_options_without_a_use_are_told(scratch):
    said = {"minutes": 5, "learning_rate": 1e-3, "batch_size": 4}
    told = str(Workspace(str(scratch), profile="smoke", options=said)).splitlines()[1:]
    assert told == [
        "minutes, learning_rate not used: the baseline of the road signs is trained already"
    ]
    make_voc(scratch / "mine", ["a", "b"], ["t"])
    full = Workspace(str(scratch), str(scratch / "mine"), "full", options=said)
    told = str(full).splitlines()[1:]
    assert told == ["learning_rate not used: the profile full has the original's"]
