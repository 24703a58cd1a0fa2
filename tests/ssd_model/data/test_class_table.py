"""What `make check-data` tells of each class."""

import numpy as np

from ssd_model.data.check import class_table
from ssd_model.data.folder import scan_data
from tests.helpers.voc_folder import CAT, annotation_xml, make_voc, object_xml


def test_class_table(tmp_path):
    voc = make_voc(tmp_path / "voc")
    # A quarter of the width by a whole height: half of the input's side, if it were square.
    dog = object_xml("dog", 0, 0, 25, 50, difficult=1)
    (voc / "Annotations/a.xml").write_text(annotation_xml(object_xml(*CAT), dog))
    splits, _ = scan_data(voc)
    table = class_table(splits)
    assert list(table.index) == ["cat", "dog"]
    assert table.loc["cat", ["trainval", "test", "difficult"]].tolist() == [2, 1, 0]
    assert table.loc["dog"].tolist() == [1, 0, 1, 150, 150, 150]


def test_class_without_objects(tmp_path):
    voc = make_voc(tmp_path / "voc")
    (voc / "label_list").write_text("cat\nunicorn\n")
    splits, _ = scan_data(voc)
    row = class_table(splits).loc["unicorn"]
    assert row["trainval"] == row["test"] == 0
    assert np.isnan(row["median"])
