"""Annotations, image sets and images that are broken: see fuzzing.py."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.folder import scan_data
from ssd_model.data.loader import DetectionDataset, collate
from ssd_model.data.picture import check_image, open_image
from tests.helpers.fuzzing import broken, edits, flips, no_hang
from tests.helpers.voc_folder import CAT, HEIGHT, WIDTH, annotation_xml, make_voc, object_xml

# One such box among others is a stray click: told, not refused.
BORNE = ("box_outside.xml", "box_turned.xml")


@broken("annotation")
def test_broken_annotations(tmp_path, path):
    voc = make_voc(tmp_path)
    shutil.copy(path, voc / "Annotations/a.xml")
    with no_hang():
        splits, faults = scan_data(voc)
    if path.name in BORNE:
        faults += [note for note in splits["trainval"].notes if note.kind]
    assert {fault.path.name for fault in faults} == {"a.xml"}
    assert max(len(str(fault)) for fault in faults) < 1000
    assert all(str(fault).isprintable() for fault in faults)


@broken("image")
def test_broken_images(path):
    for read in (check_image, open_image):
        with no_hang(), pytest.raises(DataError, match=path.name):
            read(path)


@pytest.fixture(scope="module")
def voc(scratch) -> Path:
    return make_voc(scratch / "voc")


def check_folder(voc: Path) -> None:
    """Whatever is in the folder, faults are sentences, and without any the data can be fed."""
    with no_hang():
        splits, faults = scan_data(voc)
    for fault in faults:
        assert fault.what and len(fault.what) < 1000
    if faults:
        return
    for split in splits.values():
        dataset = DetectionDataset(split, image_size=32)
        image, boxes, labels, _ = collate([dataset[i] for i in range(len(dataset))])
        assert np.isfinite(image).all()
        real = labels >= 0
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[real][:, 2:] > boxes[real][:, :2]).all()
        assert (labels[real] >= 1).all() and (labels[real] <= len(split.classes)).all()


TAGS = [
    "<object>", "</object>", "<name>", "</name>", "<bndbox>", "<xmin>", "</xmin>", "<difficult>1",
    "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE a>", "&lt;", "&e;", "&#0;", "&#x1b;", "<?x?>",
    "\0", "-1", "1e308", "nan", "inf", "1_0", " ", "\x9b", "\ufeff", "background", "dog",
]  # fmt: skip


@given(text=edits(annotation_xml(object_xml(*CAT), object_xml("dog", 1, 1, 9, 9)), TAGS))
def test_annotations(voc, text):
    (voc / "Annotations/a.xml").write_bytes(text.encode("utf-8", "surrogatepass"))
    check_folder(voc)


LINES = [
    "a",
    "b",
    "../a",
    "/etc/passwd",
    "a/../../b",
    "C:a",
    "a 1",
    "a -1",
    ".",
    "~",
    "a\\b",
    "\x85",
]


@given(lines=st.lists(st.sampled_from(LINES) | st.text(max_size=300), max_size=6))
def test_image_sets(voc, lines):
    (voc / "Annotations/a.xml").write_text(annotation_xml(object_xml(*CAT)))
    path = voc / "ImageSets/Main/trainval.txt"
    path.write_bytes("\n".join(["b", *lines]).encode("utf-8", "surrogatepass"))
    check_folder(voc)
    path.write_text("a\nb\n")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
@given(data=st.data())
def test_images(scratch, suffix, data):
    path = scratch / f"image.{suffix}"
    content = _image(scratch, suffix)
    path.write_bytes(data.draw(flips(content)))
    try:
        with no_hang():
            upright, stored, _ = check_image(path)
            image = open_image(path)
    except DataError as error:
        assert path.name in str(error)
    else:
        assert image.mode == "RGB" and image.size == upright and sorted(upright) == sorted(stored)


def _image(scratch: Path, suffix: str) -> bytes:
    path = scratch / f"good.{suffix}"
    if not path.exists():
        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).resize((20, 10)).save(path)
    return path.read_bytes()
