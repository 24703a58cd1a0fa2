"""What `make detect` is given: a model and its classes, folders that are links, and Ctrl-C."""

import json
import math
import mimetypes
import os
import shutil
import sys
from io import BytesIO, TextIOWrapper

import pytest

from ssd_model.export import detect as module
from ssd_model.export.detect import main
from ssd_model.export.inference_model import ModelError, read_description
from ssd_model.export.photographs import find_images


def test_a_model_and_its_classes_belong_together(photos, model, tmp_path, capsys):
    for end in (".pdmodel", ".pdiparams", ".classes.json"):
        shutil.copy(f"{model}{end}", tmp_path / f"mine{end}")
    mine, description = tmp_path / "mine", tmp_path / "mine.classes.json"
    assert read_description(mine) == read_description(model)
    good = json.loads(description.read_text())
    for text in ("no JSON", "{}", "[]", '{"classes": 3, "image_size": 300, "sha256": ""}'):
        description.write_text(text)
        with pytest.raises(ModelError, match=r"mine\.classes\.json does not describe a model"):
            read_description(mine)
    for classes in ("ABC", {"A": 1}, [None, 1]):
        description.write_text(json.dumps(good | {"classes": classes}))
        with pytest.raises(ModelError, match='its "classes" are not a list of names'):
            read_description(mine)
    for size in (512, 0, -3, 1e9, math.inf, None, "300"):
        description.write_text(json.dumps(good | {"image_size": size}))
        with pytest.raises(ModelError, match=f'its "image_size" is {size}; make it 300'):
            read_description(mine)
    description.write_text(json.dumps(good))
    parameters = tmp_path / "mine.pdiparams"
    parameters.write_bytes(parameters.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ModelError, match="its files have changed since"):
        read_description(mine)
    arguments = [str(photos), "--model", str(mine), "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "its files have changed since" in capsys.readouterr().out
    description.unlink()
    assert main(arguments) == 1
    assert f"there is no {description}: `make run-notebooks` saves" in capsys.readouterr().out


@pytest.mark.parametrize("end", [".pdmodel", ".pdiparams", ".classes.json", ".onnx"])
def test_any_of_a_models_files_may_be_named(photos, model, tmp_path, end):
    output = tmp_path / "out"
    arguments = [str(photos / "one.jpg"), "--model", f"{model}{end}", "--output", str(output)]
    assert main(arguments) == 0
    assert json.loads((output / "detections.json").read_bytes())["model"] == str(model)


def test_a_folder_of_models_and_other_files(photos, model, tmp_path, capsys):
    (tmp_path / "w.safetensors").touch()
    for named, words in (
        (model.parent, f"is a folder; name a model in it: {model.name}"),
        (photos, "is a folder; it holds no model"),
        (tmp_path / "w.safetensors", "is not a model that can be run: name a .pdmodel file"),
    ):
        assert main([str(photos), "--model", str(named), "--output", str(tmp_path / "out")]) == 1
        assert f"{named} {words}" in capsys.readouterr().out


def test_names_that_a_terminal_cannot_show(tmp_path, monkeypatch):
    shown = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(shown, "ascii", write_through=True))
    assert main([str(tmp_path), "--model", "знак", "--output", str(tmp_path / "out")]) == 1
    assert rb"\u0437\u043d\u0430\u043a" in shown.getvalue()


def test_copies_of_an_earlier_run_are_told(photos, model, tmp_path, capsys):
    arguments = ["--model", str(model), "--output", str(tmp_path / "out")]
    assert main([str(photos), *arguments]) == 0
    assert "not looked at" not in capsys.readouterr().out
    assert main([str(photos / "one.jpg"), *arguments]) == 0
    assert "not looked at, since results go there: 1 (copies of an earlier run, or your own)" in (
        capsys.readouterr().out
    )


def test_a_folder_of_ones_own_where_results_go(photos, model, capsys):
    output = photos / "detections"
    output.mkdir()
    (photos / "one.jpg").rename(output / "mine.jpg")
    arguments = [str(photos), "--model", str(model), "--output", str(output)]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert (
        f"are in {output}\nimages there that were not looked at, since results go there: 1" in told
    )
    shutil.rmtree(photos / "more")
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert f"{photos} holds no images but those in {output}, where results go" in told


def test_photographs_by_the_names_that_are_read(photos, monkeypatch, tmp_path):
    """Not every system's table of names has .jfif."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: (None, None))
    for suffix in (".jfif", ".BMP", ".webp", ".txt"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        shutil.copy(photos / "one.jpg", tmp_path / f"mine/a{suffix}")
    _, paths, _ = find_images(tmp_path / "mine", tmp_path / "out")
    assert [path.name for path in paths] == ["a.BMP", "a.jfif", "a.webp"]


def test_classes_must_be_as_many_as_the_model_was_trained_on(photos, model, tmp_path, capsys):
    for end in (".pdmodel", ".pdiparams", ".classes.json"):
        shutil.copy(f"{model}{end}", tmp_path / f"mine{end}")
    description = tmp_path / "mine.classes.json"
    content = json.loads(description.read_text())
    description.write_text(json.dumps(content | {"classes": content["classes"][:1]}))
    output = ["--output", str(tmp_path / "out"), "--threshold", "0.01"]
    assert main([str(photos), "--model", str(tmp_path / "mine"), *output]) == 1
    told = capsys.readouterr().out
    assert "mine.classes.json has 1 class, and the model found class" in told


def test_folders_that_are_links_are_searched_once(photos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(photos / "one.jpg", tmp_path / "elsewhere" / "three.jpg")
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    (photos / "more" / "round").symlink_to(photos)
    folder, paths, _ = find_images(photos, tmp_path / "out")
    names = [str(path.relative_to(folder)) for path in paths]
    assert names == ["linked/three.jpg", "more/two.JPG", "one.jpg"]


def test_a_linked_folder_goes_by_its_own_name(photos, tmp_path):
    (photos / "a link").symlink_to("more")
    (photos / "deep").mkdir()
    (photos / "deep" / "b").symlink_to(tmp_path / "elsewhere")
    (photos / "deep" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "three.jpg").touch()
    folder, paths, _ = find_images(photos, tmp_path / "out")
    names = [str(path.relative_to(folder)) for path in paths]
    assert names == ["deep/a/three.jpg", "more/two.JPG", "one.jpg"]


def test_no_image_is_lost_in_silence(photos, model, tmp_path, monkeypatch, capsys):
    (photos / "dangling.jpg").symlink_to("nowhere.jpg")
    (photos / "itself.jpg").symlink_to("itself.jpg")
    os.mkfifo(photos / "fifo.png")
    (photos / "locked").mkdir()
    scan = os.scandir

    def refuse(path):  # the user who runs the tests may be allowed everything
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    output = tmp_path / "out"
    assert main([str(photos), "--model", str(model), "--output", str(output)]) == 0
    assert "\ncannot be read: 4\n" in capsys.readouterr().out
    unreadable = json.loads((output / "detections.json").read_bytes())["unreadable"]
    for name, why in (
        ("dangling.jpg", "a link to a file that is not there"),
        ("itself.jpg", "not a readable"),
        ("fifo.png", "not a regular file"),
        ("locked", "a folder that cannot be read (Permission denied)"),
    ):
        assert unreadable[name].startswith(why)
    assert main([str(photos / "locked"), "--model", str(model), "--output", str(output)]) == 1
    told = capsys.readouterr().out
    assert "none of the images can be read\n  .: a folder that cannot be read (Permission" in told


def test_what_is_no_file_is_not_called_missing(model, tmp_path, capsys):
    (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
    output = tmp_path / "out"
    arguments = ["--model", str(model), "--output", str(output)]
    output.mkdir()
    for name in ("detections.csv", "detections.json"):
        (output / name).touch()  # nothing has taken their place
    for path, why in (
        ("/dev/null", "null: not a regular file"),
        (str(tmp_path / "dangling.jpg"), "dangling.jpg: a link to a file that is not there"),
    ):
        assert main([path, *arguments]) == 1
        assert f"none of the images can be read\n  {why}" in capsys.readouterr().out
        assert len([*output.glob("detections.*")]) == 2


def test_an_interrupted_run_leaves_no_tables_of_another(
    photos, model, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "out"
    arguments = [str(photos), "--model", str(model), "--output", str(output)]
    assert main(arguments) == 0
    assert {path.name for path in output.glob("detections.*")} == {
        "detections.csv",
        "detections.json",
    }

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_run", interrupt)
    assert main(arguments) == 130
    told = capsys.readouterr().out
    assert told.endswith("there are no new tables, and copies only of images that were done\n")
    assert not list(output.glob("detections.*"))
