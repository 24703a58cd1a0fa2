"""Sets as people have them, read from end to end: see tests/helpers/photographs.py."""

import subprocess
import sys

import numpy as np
import pytest

from ssd_model.data import check
from ssd_model.data.faults import tell
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.photographs import (
    BLUE,
    CLASSES,
    RED,
    YELLOW,
    make_coco_photographs,
    make_voc_photographs,
    shows,
)


def assert_shows(split, truth):
    """Each record has the boxes of its image, and they lie on what they name."""
    for record in split.records:
        things = truth[record.image.stem] if record.image.stem in truth else truth["Müller"]
        size = np.tile((record.width, record.height), 2)
        np.testing.assert_allclose(record.boxes * size, [t[1:] for t in things], atol=1e-3)
        names = [split.classes[label - 1] for label in record.labels]
        assert names == [name for name, *_ in things]
        assert shows(record.open(), record.boxes, names), record.image


@pytest.fixture
def photographs(tmp_path):
    return tmp_path, make_voc_photographs(tmp_path)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_voc_photographs(photographs):
    folder, truth = photographs
    trainval, test = read_data(folder, "trainval"), read_data(folder, "test")
    assert trainval.classes == test.classes == CLASSES
    stems = [record.image.stem for record in trainval.records]
    assert stems[:4] == ["photo", "photo 1", "photo 2", "Screenshot 9.41\u202fAM"]
    assert len(stems) == 6
    assert [record.image.name for record in test.records] == [
        "xmp.jpg",
        "broken exif.jpg",
        "long text.png",
    ]
    assert_shows(trainval, truth)
    assert_shows(test, truth)


def test_what_is_told_of_voc_photographs(photographs, capfd, recwarn):
    folder, _ = photographs
    read_data(folder, "trainval")
    read_data(folder, "test")
    told = capfd.readouterr()
    assert told.err == "" and not recwarn.list
    assert told.out.splitlines() == [
        "boxes of trainval left out, empty or outside the image: 1 of 8 (photo.xml)",
        "there is no test set: trained on train, measured on val",
        "images of test read despite a warning: 1 (broken exif.jpg)",
    ]


def test_the_check_lists_what_is_borne(photographs, capsys):
    folder, _ = photographs
    assert check.main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("photo.xml: object 3" in line and "104, 77, 104, 77" in line for line in lines) == 1
    assert any("broken exif.jpg: Truncated File Read" in line for line in lines)
    assert "there is no test set: trained on train, measured on val" in lines
    assert f"{folder} has no faults" in lines


def test_coco_photographs(tmp_path, capfd):
    truth = make_coco_photographs(tmp_path)
    assert find_faults(tmp_path) == []
    trainval, test = read_data(tmp_path, "trainval"), read_data(tmp_path, "test")
    assert trainval.classes == test.classes == (RED, BLUE, YELLOW)
    assert_shows(trainval, truth)
    assert_shows(test, truth)
    assert [record.difficult.tolist() for record in test.records] == [[False], [False, True]]
    told = capfd.readouterr()
    assert told.err == ""
    for line in (
        "categories 3, 12 are one class, 红血球",
        "categories without objects, left out: cells",
        "crowds and ignored objects, treated as difficult: 1",
        "boxes of trainval left out, empty or outside the image: 1 of 5 (000001.jpg)",
        "there is no test set: trained on train, measured on val",
        "no object of test is of class 红血球: not measured, left out of the mAP",
    ):
        assert told.out.count(line) == 1, (line, told.out)
    assert tell(test.notes) != tell(trainval.notes)


def test_a_page_of_a_notebook_stays_clean(photographs):
    """Nothing on stderr when images are read, again and again; and no Paddle for it."""
    code = (
        "import sys; from ssd_model.data.folder import read_data\n"
        "for split in ('trainval', 'test') * 2:\n"
        "    for record in read_data(sys.argv[1], split).records: record.open(), record.open(100)\n"
        "assert 'paddle' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(photographs[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "read despite a warning: 1 (broken exif.jpg)" in done.stdout
