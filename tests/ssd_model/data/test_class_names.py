"""What is not seen in the name of a class."""

import pytest

from ssd_model.data.folder import read_data
from ssd_model.data.text import class_name
from tests.helpers.voc_folder import (
    CAT,
    object_xml,
    write_xml,
)


@pytest.mark.parametrize("name", ["\ufeffcat", "cat\u200b", " \u200e cat\u00ad"])
def test_marks_around_a_name_do_not_make_another_class(voc, name):
    write_xml(voc, object_xml(name, *CAT[1:]))
    assert read_data(voc, "trainval").classes == ("cat",)


@pytest.mark.parametrize("name", ["c\u200bat", "ca\u00adt"])
def test_classes_that_differ_in_what_is_not_seen_are_told(voc, capsys, name):
    write_xml(voc, object_xml(name, *CAT[1:]))
    assert len(read_data(voc, "trainval").classes) == 2
    assert f"{name.encode('unicode_escape').decode()} look alike" in capsys.readouterr().out


def test_a_long_run_of_blanks_takes_no_time():
    assert len(class_name("a" + " " * 1_000_000 + "b")) == 1_000_002


def test_classes_that_differ_in_blanks_are_told(voc, capsys):
    write_xml(voc, object_xml("stop  sign", *CAT[1:]), object_xml("stop sign", *CAT[1:]))
    assert "cat" in read_data(voc, "trainval").classes
    assert "stop  sign and stop sign look alike" in capsys.readouterr().out
