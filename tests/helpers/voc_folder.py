"""Builds small Pascal VOC folders for the tests."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data

WIDTH, HEIGHT = 100, 50
CAT = ("cat", 10, 5, 60, 45)


def object_xml(
    name: str | None = "cat", *corners: object, difficult: object = 0, extra: str = ""
) -> str:
    """One <object>; None leaves the name, `difficult` or (if no corners) the box out."""
    parts = [f"<name>{name}</name>"] if name is not None else []
    if difficult is not None:
        parts.append(f"<difficult>{difficult}</difficult>")
    if corners:
        tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        parts.append(
            f"<bndbox>{''.join(f'<{tag}>{value}</{tag}>' for tag, value in tags)}</bndbox>"
        )
    return f"<object>{''.join(parts)}{extra}</object>"


def annotation_xml(*objects: str, size: tuple[object, object] | None = (WIDTH, HEIGHT)) -> str:
    head = ""
    if size is not None:
        head = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation>{head}{''.join(objects)}</annotation>"


def add_image(
    folder: Path,
    id_: str,
    *objects: str,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    suffix: str = ".jpg",
    color: tuple[int, int, int] = (200, 100, 50),
) -> Path:
    """Write an image of one colour and its annotation; return the image's path."""
    path = folder / "JPEGImages" / f"{id_}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    xml = folder / "Annotations" / f"{id_}.xml"
    xml.parent.mkdir(parents=True, exist_ok=True)
    xml.write_text(annotation_xml(*objects, size=size))
    return path


def place(root, stem, images, annotations):
    """Put an image and its annotation into folders of `root`; each image differs from the rest."""
    image = add_image(root, stem, object_xml(*CAT), color=(ord(stem[-1]), 0, 0))
    for path, folder in ((image, images), (root / f"Annotations/{stem}.xml", annotations)):
        if folder:
            (root / folder).mkdir(parents=True, exist_ok=True)
            path.rename(root / folder / path.name)
        else:
            path.unlink()
    for empty in ("JPEGImages", "Annotations"):
        if not any((root / empty).iterdir()):
            (root / empty).rmdir()


def write_set(folder: Path, split: str, ids: Sequence[str]) -> Path:
    path = folder / "ImageSets" / "Main" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{id_}\n" for id_ in ids))
    return path


def make_voc(
    folder: Path,
    trainval: Sequence[str] = ("a", "b"),
    test: Sequence[str] | None = ("c",),
) -> Path:
    """Write a VOC folder without faults: each image has one cat. Returns the folder."""
    for id_ in [*trainval, *(test or ())]:
        add_image(folder, id_, object_xml(*CAT))
    write_set(folder, "trainval", trainval)
    if test is not None:
        write_set(folder, "test", test)
    return folder


def write_xml(voc, *objects, **size):
    """Replace the annotation of image `a`."""
    (voc / "Annotations/a.xml").write_text(annotation_xml(*objects, **size))


def names(folder, split):
    """The names of a split's images, sorted."""
    return sorted(record.image.stem for record in read_data(folder, split).records)


def only_fault(voc, name, *words):
    """Check that the folder has one fault, which names the file and all the words."""
    faults = find_faults(voc)
    assert len(faults) == 1, [str(fault) for fault in faults]
    assert faults[0].path.name == name
    for word in words:
        assert word in faults[0].what
    with pytest.raises(DataError) as caught:
        for split in ("trainval", "test"):
            read_data(voc, split)
    assert str(faults[0]) in str(caught.value)
    assert "make check-data DATA_DIR=" in str(caught.value)
