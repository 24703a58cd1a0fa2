"""What an annotation may hold: read or refused by name, or left out and told; never passed over."""

import sys
from codecs import BOM_UTF8
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest

from ssd_model.data import check
from ssd_model.data.faults import Note, tell
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import (
    CAT,
    add_image,
    annotation_xml,
    object_xml,
    only_fault,
    write_set,
    write_xml,
)


def test_many_notes_make_one_line_a_kind(tmp_path):
    notes = [Note(tmp_path / f"{i}.xml", "empty", "boxes: {} of 4,888") for i in range(1200)]
    notes.append(Note(tmp_path / "a.jpg", "odd", "images: {}"))
    notes.append(Note(tmp_path, "there is no test set"))
    assert tell(notes) == [
        "there is no test set",
        "boxes: 1,200 of 4,888 (0.xml, 1.xml, 2.xml, 3.xml, 4.xml and 1,195 more)",
        "images: 1 (a.jpg)",
    ]


def test_an_object_without_anything_in_it_is_none(tmp_path):
    add_image(tmp_path, "a", "<object/>", object_xml(*CAT), "<object>\n</object>")
    add_image(tmp_path, "b", "<object/>")
    write_set(tmp_path, "trainval", "ab")
    write_set(tmp_path, "test", "a")
    counts = [len(record.boxes) for record in read_data(tmp_path, "trainval").records]
    assert counts == [1, 0]


@pytest.mark.parametrize("attributes", ['class="cat"', 'name="cat" xmin="1"'])
def test_an_object_in_attributes_is_not_passed_over(voc, attributes):
    write_xml(voc, f"<object {attributes}></object>")
    faults = [fault.what for fault in find_faults(voc)]
    assert faults[0] == "object 1: no <name>"
    assert faults[1].startswith("object 1: no <bndbox>;")


# Tags

BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"


@pytest.mark.parametrize(
    "tags", [("object", "Object"), ("bndbox", "BndBox"), ("xmin", "xMin"), ("name", "NAME"),
             ("difficult", "Difficult"), ("annotation", "Annotation"), ("size", "Size")]
)  # fmt: skip
def test_tags_in_another_case_are_read(voc, tags):
    text = annotation_xml(object_xml(*CAT, difficult=1), object_xml("dog", 1, 1, 9, 9))
    (voc / "Annotations/a.xml").write_text(text.replace(*tags))
    split = read_data(voc, "trainval")
    want = np.array([[0.1, 0.1, 0.6, 0.9], [0.01, 0.02, 0.09, 0.18]], np.float32)
    np.testing.assert_array_equal(split.records[0].boxes, want)
    assert split.records[0].difficult.tolist() == [True, False]
    assert split.classes == ("cat", "dog")


@pytest.mark.parametrize("prefix", ["", "v:"])
def test_tags_in_a_namespace_are_read(voc, prefix):
    text = annotation_xml(object_xml("dog", 1, 1, 9, 9)).replace("<", f"<{prefix}")
    text = text.replace(f"<{prefix}/", f"</{prefix}")
    declared = f"xmlns{prefix and ':v'}='http://localhost/voc'"
    text = text.replace("annotation>", f"annotation {declared}>", 1)
    (voc / "Annotations/a.xml").write_text(text)
    assert read_data(voc, "trainval").classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (object_xml(*CAT, extra=BOX), ["object 1 (cat)", "2 <bndbox>"]),
        (object_xml(*CAT, extra=BOX.replace("bndbox", "BndBox")), ["2 <bndbox>"]),
        (object_xml(*CAT, extra="<name>dog</name>"), ["object 1", "2 <name>"]),
        (object_xml(*CAT, extra="<difficult>1</difficult>"), ["object 1 (cat)", "2 <difficult>"]),
        (object_xml(*CAT).replace("</bndbox>", "<xmin>7</xmin></bndbox>"), ["2 <xmin>"]),
        (object_xml("cat", extra="<robndbox><cx>1</cx></robndbox>"), ["no <bndbox>, but a <rob"]),
        (object_xml("cat", extra="<polygon><x1>1</x1></polygon>"), ["no <bndbox>, but a <poly"]),
        (object_xml("cat", extra=f"<part>{BOX}</part>"), ["no <bndbox>;"]),
        (object_xml(*CAT) + f"<objects>{object_xml(*CAT)}</objects>", ["an <object> inside <obj"]),
        (object_xml(*CAT) + BOX, ["a <bndbox> inside <annotation>"]),
        (object_xml(*CAT, extra=f"<box>{BOX}</box>"), ["a <bndbox> inside <box>"]),
        (object_xml(*CAT, extra="<xmin>1</xmin>"), ["an <xmin> inside <object>"]),
        ("<obj><name>cat</name><box><xmin>1</xmin></box></obj>", ["an <xmin> inside <box>"]),
        ("<objects><item><xmin>1</xmin></item></objects>", ["an <xmin> inside <item>"]),
    ],
)
def test_what_would_be_passed_over_is_refused(voc, xml, words):
    write_xml(voc, xml)
    only_fault(voc, "a.xml", *words)


def test_two_sizes_are_refused(voc):
    text = annotation_xml(object_xml(*CAT)).replace("<object>", "<size/><object>", 1)
    (voc / "Annotations/a.xml").write_text(text)
    only_fault(voc, "a.xml", "2 <size>")


def test_parts_may_have_boxes(voc):
    """As the persons of VOC have heads, hands and feet."""
    parts = "".join(f"<part><name>{name}</name>{BOX}</part>" for name in ("head", "hand"))
    write_xml(voc, object_xml(*CAT, extra=parts))
    record = read_data(voc, "trainval").records[0]
    np.testing.assert_array_equal(record.boxes, np.array([[0.1, 0.1, 0.6, 0.9]], np.float32))


# Rotations

IN_CVAT = "<attributes><attribute><name>rotation</name><value>{}</value></attribute></attributes>"


@pytest.mark.parametrize(
    ("parent", "turn"),
    [
        ("<object>", IN_CVAT),
        ("<object>", "<rotation>{}</rotation>"),
        ("<object>", "<angle>{}</angle>"),
        ("<bndbox>", "<rotation>{}</rotation>"),
        ("<bndbox>", "<angle>{}</angle>"),
    ],
)
def test_a_rotated_box_is_refused(voc, parent, turn):
    for degrees, faults in (("0.0", 0), ("45.0", 1)):
        extra = turn.format(degrees)
        add_image(voc, "a", object_xml(*CAT).replace(parent, f"{parent}{extra}"))
        assert len(find_faults(voc)) == faults
    only_fault(voc, "a.xml", "object 1 (cat): rotated by 45.0 degrees; export upright boxes")


# Names of classes

NAMES = ["停车标志", "साइकिल", "می\u200cرود", "全角\u3000空格", "a\u00a0b", "ключ", "🚗"]
NAMES += ["\U0001f468\u200d\U0001f469", "\U0001fae8"]  # two emoji joined, a young one


@pytest.mark.parametrize("name", NAMES)
def test_names_of_classes(voc, name):
    write_xml(voc, object_xml(name, 1, 1, 9, 9))
    assert read_data(voc, "trainval").classes == tuple(sorted(("cat", name)))
    (voc / "label_list").write_text(f"cat\n{name}\n", encoding="utf-8")
    assert read_data(voc, "trainval").classes == ("cat", name)
    assert check.main([str(voc)]) == 0


def test_names_that_a_terminal_cannot_show(voc, monkeypatch):
    write_xml(voc, object_xml("знак", 1, 1, 9, 9))
    shown = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(shown, "ascii", write_through=True))
    assert check.main([str(voc)]) == 0
    assert rb"2 classes: cat, \u0437\u043d\u0430\u043a" in shown.getvalue()


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gb2312", "停车标志"),
        ("GBK", "鑫"),
        ("gb18030", "㐀"),
        ("cp936", "标志"),
        ("big5", "停車"),
        ("Shift_JIS", "標識"),
        ("sjis", "標識"),
        ("euc-jp", "標識"),
        ("euc-kr", "표지판"),
        ("windows-1251", "знак"),
        ("UTF-16", "знак"),
    ],
)
def test_an_annotation_is_read_in_the_encoding_that_it_declares(voc, encoding, name):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?>{annotation_xml(object_xml(name, 1, 1, 9, 9))}'
    )
    (voc / "Annotations/a.xml").write_bytes(text.encode(encoding))
    assert read_data(voc, "trainval").classes == tuple(sorted(("cat", name)))


@pytest.mark.parametrize(
    ("declared", "mark"),
    [("utf-16", b""), ("utf8", b""), ("us-ascii", b""), ("utf-16", BOM_UTF8), ("gb2312", BOM_UTF8)],
)
def test_an_annotation_in_utf_8_is_read_whatever_it_declares(voc, declared, mark):
    text = (
        f'<?xml version="1.0" encoding="{declared}"?>{annotation_xml(object_xml("é", 1, 1, 9, 9))}'
    )
    (voc / "Annotations/a.xml").write_bytes(mark + text.encode())
    assert read_data(voc, "trainval").classes == ("cat", "é")


def test_an_annotation_in_another_encoding_than_it_declares_is_refused(voc):
    text = f'<?xml version="1.0" encoding="gb2312"?>{annotation_xml(object_xml("é", 1, 1, 9, 9))}'
    (voc / "Annotations/a.xml").write_bytes(text.encode("latin-1"))
    only_fault(voc, "a.xml", "gb18030", "save it as UTF-8")


@pytest.mark.parametrize("name", ["a\x7fb", "a\x9bb", "a\u2028b", "a\u2029b"])
def test_control_characters_in_a_name_are_refused(voc, name):
    write_xml(voc, object_xml(*CAT), object_xml(name, 1, 1, 9, 9))
    only_fault(voc, "a.xml", "object 2", "control characters")


@pytest.mark.parametrize("name", ["\u200b", "\u200d \u202e", "\ufe0f"])
def test_a_name_that_shows_nothing_is_refused(voc, name):
    write_xml(voc, object_xml(*CAT), object_xml(name, 1, 1, 9, 9))
    only_fault(voc, "a.xml", "object 2", "has no visible character")


def test_accents_in_one_piece_or_two_are_one_class(voc):
    write_xml(voc, object_xml("e\u0301toile", 1, 1, 9, 9), object_xml("\u00e9toile", 1, 1, 8, 8))
    assert read_data(voc, "trainval").classes == ("cat", "\u00e9toile")
    (voc / "label_list").write_text("cat\ne\u0301toile\n", encoding="utf-8")
    assert read_data(voc, "trainval").records[0].labels.tolist() == [2, 2]


def test_names_that_look_alike_are_told(voc, capsys):
    write_xml(voc, object_xml("Cat", 1, 1, 9, 9))
    assert read_data(voc, "trainval").classes == ("Cat", "cat")
    assert "Cat and cat look alike and are classes of their own" in capsys.readouterr().out


def test_a_name_with_blanks_around_it(voc):
    write_xml(voc, object_xml("cat\u3000\n", 1, 1, 9, 9))
    assert read_data(voc, "trainval").classes == ("cat",)


def test_an_image_in_another_folder_may_have_its_annotation_there(voc):
    add_image(voc, "day1/a", object_xml("dog", 1, 1, 9, 9))
    write_set(voc, "trainval", ["a", "day1/a"])
    assert [record.labels.tolist() for record in read_data(voc, "trainval").records] == [[1], [2]]
