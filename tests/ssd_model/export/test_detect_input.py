"""What `make detect` is given: a model and its classes, folders that are links, and Ctrl-C."""

import json
import mimetypes
import shutil

import pytest

from ssd_model.export import detect as module
from ssd_model.export.detect import find_images, main
from ssd_model.export.inference_model import ModelError, read_description


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


def test_copies_of_an_earlier_run_are_told(photos, model, tmp_path, capsys):
    arguments = ["--model", str(model), "--output", str(tmp_path / "out")]
    assert main([str(photos), *arguments]) == 0
    assert "earlier run" not in capsys.readouterr().out
    assert main([str(photos / "one.jpg"), *arguments]) == 0
    assert "copies of an earlier run are there, too: 1" in capsys.readouterr().out


def test_photographs_by_the_names_that_are_read(photos, monkeypatch, tmp_path):
    """Not every system's table of names has .jfif."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: (None, None))
    for suffix in (".jfif", ".BMP", ".webp", ".txt"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        shutil.copy(photos / "one.jpg", tmp_path / f"mine/a{suffix}")
    _, paths = find_images(tmp_path / "mine", tmp_path / "out")
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
    folder, paths = find_images(photos, tmp_path / "out")
    names = [str(path.relative_to(folder)) for path in paths]
    assert names == ["linked/three.jpg", "more/two.JPG", "one.jpg"]


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
    assert "stopped: there are copies of some images, and no tables" in capsys.readouterr().out
    assert not list(output.glob("detections.*"))
