"""Lists of images as tools and people write them: which files a line means."""

import shutil
import unicodedata

import pytest

from ssd_model.data import check
from ssd_model.data.faults import DataError
from ssd_model.data.folder import find_faults, read_data
from tests.helpers.voc_folder import CAT, add_image, make_voc, object_xml, only_fault, write_set


def names(folder, split="trainval"):
    return [record.image.name for record in read_data(folder, split).records]


# Blanks and flags


@pytest.fixture
def photos(voc):
    for name in ("photo", "photo 1", "photo 2"):
        add_image(voc, name, object_xml(*CAT))
    return voc


def test_blanks_in_names_are_no_flags(photos):
    write_set(photos, "trainval", ["photo", "photo 1", "photo 2"])
    assert names(photos) == ["photo.jpg", "photo 1.jpg", "photo 2.jpg"]


def test_a_line_with_a_flag_that_may_be_a_name_is_refused(photos):
    write_set(photos, "trainval", ["photo 1", "b 0"])
    only_fault(photos, "trainval.txt", "'photo 1'", "photo 1.jpg, or photo.jpg and a flag")


def test_a_flag_is_none_where_its_image_has_a_line_of_its_own(photos):
    (photos / "JPEGImages/photo 1.jpg").unlink()
    write_set(photos, "trainval", ["photo", "photo 1"])
    only_fault(photos, "trainval.txt", "'photo 1'", "no image of this name", "'photo'")


def test_flags(photos):
    write_set(photos, "trainval", ["photo 2", "a\t1", "b -1"])
    assert names(photos) == ["photo 2.jpg", "a.jpg", "b.jpg"]


def test_a_line_twice_is_told(voc, capsys):
    write_set(voc, "trainval", ["a", "b", "a", "a.jpg"])
    assert names(voc) == ["a.jpg", "b.jpg"]
    told = "lines that repeat an image, counted once: 2 (trainval.txt)"
    assert told in capsys.readouterr().out


# Letters


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 2024-01-01 at 9.41.00\u202fAM",
        "a\u00a0b",
        "\u3000",
        "车 1",
        "می\u200cروم",
        "🚗",
        "10:30",
        "A_001.mp4#t=0",
        "b.v2",
    ],
)
def test_names_of_files(voc, name):
    add_image(voc, name, object_xml(*CAT))
    write_set(voc, "trainval", ["a", name])
    assert names(voc) == ["a.jpg", f"{name}.jpg"]


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_list", ["NFC", "NFD"])
def test_accents_in_one_piece_or_two(voc, on_disk, in_list):
    path = add_image(voc, unicodedata.normalize(on_disk, "Müller é"), object_xml(*CAT))
    write_set(voc, "trainval", [unicodedata.normalize(in_list, "Müller é")])
    xml = voc / "Annotations" / f"{path.stem}.xml"
    xml.rename(xml.with_name(unicodedata.normalize(in_list, xml.name)))
    assert names(voc) == [path.name]


def test_another_blank_or_case_is_found_too(voc):
    add_image(voc, "IMG\u202f1", object_xml(*CAT), suffix=".JPG")
    write_set(voc, "trainval", ["img 1"])
    assert names(voc) == ["IMG\u202f1.JPG"]


def test_blanks_around_a_name(voc):
    (voc / "JPEGImages/a.jpg").rename(voc / "JPEGImages/ a .jpg")
    (voc / "Annotations/a.xml").rename(voc / "Annotations/ a .xml")
    assert names(voc) == [" a .jpg", "b.jpg"]


def test_a_list_in_utf_16(voc):
    """As PowerShell writes it."""
    (voc / "ImageSets/Main/trainval.txt").write_text("a\r\nb\r\n", encoding="utf-16")
    assert names(voc) == ["a.jpg", "b.jpg"]


def test_images_that_no_list_names_are_told(voc, capsys):
    add_image(voc, "x", object_xml(*CAT))
    assert names(voc) == ["a.jpg", "b.jpg"]
    told = "images that the lists of trainval and test do not name, left out: 1 (x.jpg)"
    assert told in capsys.readouterr().out


def test_check_data_lists_so_many_and_counts_all(voc, capsys, monkeypatch):
    monkeypatch.setattr(check, "LISTED", 2)
    for name in "xyz":
        add_image(voc, name, object_xml(*CAT))
    assert check.main([str(voc)]) == 0
    told = capsys.readouterr().out
    assert told.count(": not listed\n") == 2
    assert "do not name, left out: 3 (x.jpg" in told


def test_slashes_twice(voc):
    write_set(voc, "trainval", ["C:\\\\voc\\\\JPEGImages\\\\a.jpg", "JPEGImages//b.jpg"])
    assert names(voc) == ["a.jpg", "b.jpg"]


def test_lists_in_two_places(voc, capsys):
    (voc / "test.txt").write_text("a\n")
    assert names(voc) == ["a.jpg", "b.jpg"]
    told = f"lists in {voc} are not read: those in {voc / 'ImageSets/Main'} are"
    assert told in capsys.readouterr().out


def test_two_files_that_look_like_the_name_are_refused(voc):
    for name in ("Cat", "CAT"):
        add_image(voc, name, object_xml(*CAT))
    write_set(voc, "trainval", ["a", "cAT"])
    only_fault(voc, "cAT", "more than one image", "CAT.jpg, Cat.jpg")


def test_lines_with_more_columns_are_refused(voc):
    """As those of the Oxford-IIIT pets: a name, a class, a species, a breed."""
    write_set(voc, "trainval", ["a 1 1 2", "b"])
    what = "line 'a 1 1 2': no image of this name; if 'a' is the name, remove the rest"
    only_fault(voc, "trainval.txt", what)


def test_control_characters_are_refused(voc):
    write_set(voc, "trainval", ["a", "b\x1b[2J"])
    only_fault(voc, "trainval.txt", r"b\x1b[2J", "not a name inside the data folder")


# Paths


@pytest.mark.parametrize(
    "line",
    [
        "JPEGImages/a.jpg",
        "./JPEGImages/a",
        "JPEGImages\\a.jpg",
        "a.jpg",
        "a.jpg 1",
        "/home/me/VOC/JPEGImages/a.jpg",
        "C:\\VOC\\a.jpg",
    ],
)
def test_a_folder_and_a_suffix_in_the_list(voc, line):
    write_set(voc, "trainval", [line])
    assert names(voc) == ["a.jpg"]


def test_the_suffix_tells_two_images_apart(voc):
    add_image(voc, "a", object_xml(*CAT), suffix=".png")
    write_set(voc, "trainval", ["a.png"])
    assert names(voc) == ["a.png"]


def test_an_annotation_may_keep_the_suffix_of_the_image(voc):
    (voc / "Annotations/a.xml").rename(voc / "Annotations/a.jpg.xml")
    assert names(voc) == ["a.jpg", "b.jpg"]


PAIRS = [
    "{0}JPEGImages/{1}.jpg {0}Annotations/{1}.xml",
    "./{0}JPEGImages/{1}.jpg\t./{0}Annotations/{1}.xml",
    "/home/me/{0}JPEGImages/{1}.jpg /home/me/{0}Annotations/{1}.xml",
]


@pytest.mark.parametrize("line", PAIRS)
@pytest.mark.parametrize("devkit", ["", "VOCdevkit/VOC2007/"])
def test_pairs_of_image_and_annotation_at_the_root(tmp_path, line, devkit):
    voc = make_voc(tmp_path / devkit, ["a", "my photo 1"])
    for split, ids in (("trainval", ["a", "my photo 1"]), ("test", ["c"])):
        (voc / f"ImageSets/Main/{split}.txt").unlink()
        text = "".join(line.format(devkit, id_) + "\n" for id_ in ids)
        (tmp_path / f"{split}.txt").write_text(text)
    assert names(tmp_path) == ["a.jpg", "my photo 1.jpg"]
    assert names(tmp_path, "test") == ["c.jpg"]


@pytest.mark.parametrize("line", [*PAIRS, "{0}JPEGImages/{1}.jpg"])
def test_lists_at_the_root_for_both_years(tmp_path, line):
    """An id that both years have is another image in each."""
    for year, name in (("VOC2007", "cat"), ("VOC2012", "dog")):
        folder = make_voc(tmp_path / "VOCdevkit" / year, ["a"], ["c"])
        add_image(folder, "a", object_xml(name, 1, 1, 9, 9))
        shutil.rmtree(folder / "ImageSets")
    lines = [line.format(f"VOCdevkit/{year}/", "a") for year in ("VOC2012", "VOC2007")]
    (tmp_path / "trainval.txt").write_text("\n".join(lines))
    (tmp_path / "test.txt").write_text(line.format("VOCdevkit/VOC2007/", "c"))
    split = read_data(tmp_path, "trainval")
    assert split.classes == ("cat", "dog")
    assert [record.labels.tolist() for record in split.records] == [[2], [1]]
    assert [record.image.parts[-3] for record in split.records] == ["VOC2012", "VOC2007"]
    assert names(tmp_path, "test") == ["c.jpg"]


def test_a_pair_must_stay_inside(voc):
    write_set(voc, "trainval", ["JPEGImages/a.jpg Annotations/../../a.xml"])
    only_fault(voc, "trainval.txt", "not a name inside the data folder")


def test_a_pair_whose_annotation_is_not_there(voc):
    write_set(voc, "trainval", ["JPEGImages/a.jpg Annotations/x.xml"])
    only_fault(voc, "x.xml", "no such annotation file")


def test_lists_of_paddlex(voc):
    for split, name, id_ in (("trainval", "train", "a"), ("test", "val", "c")):
        (voc / f"ImageSets/Main/{split}.txt").unlink()
        text = f"JPEGImages/{id_}.jpg Annotations/{id_}.xml\n"
        (voc / f"{name}_list.txt").write_text(text)
    assert (names(voc), names(voc, "test")) == (["a.jpg"], ["c.jpg"])


def test_lists_of_vott(voc, capsys):
    """One list a class, with the image's suffix, a flag, and lines twice."""
    for path in (voc / "ImageSets/Main").iterdir():
        path.unlink()
    write_set(voc, "cat_train", ["a.jpg 1", "b.jpg -1", "a.jpg -1"])
    write_set(voc, "dog_train", ["a.jpg -1", "b.jpg 1"])
    write_set(voc, "cat_val", ["c.jpg 1"])
    assert (names(voc), names(voc, "test")) == (["a.jpg", "b.jpg"], ["c.jpg"])
    assert "trained on train, measured on val" in capsys.readouterr().out


# Folders


@pytest.mark.parametrize(
    "renamed",
    [{"Annotations": "annotations"}, {"JPEGImages": "Images", "Annotations": "ANNOTATIONS"}],
)
def test_folders_in_another_case(voc, renamed):
    for old, new in renamed.items():
        (voc / old).rename(voc / new)
    (voc / "ImageSets/Main").rename(voc / "ImageSets/main")
    (voc / "ImageSets").rename(voc / "imagesets")
    assert names(voc) == ["a.jpg", "b.jpg"]
    assert find_faults(voc) == []


def test_a_label_list_of_paddledetection(voc):
    (voc / "label_list.txt").write_text("zebra\ncat\n")
    assert read_data(voc, "test").classes == ("zebra", "cat")


def test_an_image_twice_under_two_names_is_one_image(voc):
    write_set(voc, "trainval", ["a", "JPEGImages/a.jpg", "b"])
    assert names(voc) == ["a.jpg", "b.jpg"]


def test_a_data_error_names_what_is_accepted(tmp_path):
    with pytest.raises(DataError, match=r"VOC folder .* VOCdevkit, .* COCO"):
        read_data(tmp_path, "test")


@pytest.mark.parametrize("name", ["BCCD", "download/BCCD"])
def test_a_folder_in_the_folder_is_named(tmp_path, name):
    make_voc(tmp_path / name)
    what = f"no data in this folder itself, but in {name}: name that folder"
    only_fault(tmp_path, tmp_path.name, what)


def test_sets_in_folders_of_other_names(tmp_path):
    for name in ("part 1", "part 2"):
        make_voc(tmp_path / name)
    what = "but in part 1, part 2: name one, or put all in one, or make them folders train"
    only_fault(tmp_path, tmp_path.name, what)
