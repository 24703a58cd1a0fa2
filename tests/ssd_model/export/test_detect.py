"""`make detect`: what is found is where it is, is listed, and nothing of the user's is lost."""

import csv
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd_model.data.picture import ORIENTATION_TAG, open_image
from ssd_model.export import detect as module
from ssd_model.export import drawing
from ssd_model.export.detect import BATCH, DetectError, detect, main
from ssd_model.export.drawing import draw_boxes
from ssd_model.export.inference_model import read_description
from utils.paths import ROOT


def tables(output: Path) -> tuple[list[dict], dict]:
    with (output / "detections.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    return rows, json.loads((output / "detections.json").read_bytes())


def corners(row: dict) -> np.ndarray:
    return np.array([float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")])


def overlap(one, two) -> float:
    sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    both = np.prod(sides.clip(min=0))
    return both / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - both)


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_signs_are_found_where_they_are(scenes, model, tmp_path):
    assert len(scenes) > BATCH, "the last batch is to be a smaller one"
    folder, output = scenes[0].image.parent, tmp_path / "out"
    before = content(folder)
    findings = detect(folder, model, output, threshold=0.5)
    classes = read_description(model).classes
    rows, listed = tables(output)
    by_image = {image["image"]: image for image in listed["images"]}
    hits = 0
    for record in scenes:
        width, height = by_image[record.image.name]["width"], by_image[record.image.name]["height"]
        assert (width, height) == (record.width, record.height)
        found = [row for row in rows if row["image"] == record.image.name]
        scores = [float(row["score"]) for row in found]
        assert scores == sorted(scores, reverse=True) and min(scores, default=1) >= 0.5
        for box, label in zip(record.boxes, record.labels, strict=True):
            truth = box * [width, height, width, height]
            same = [row for row in found if row["class"] == classes[label - 1]]
            hits += any(overlap(truth, corners(row)) > 0.5 for row in same)
    assert hits >= 0.6 * sum(len(record.labels) for record in scenes)
    # The two tables say the same.
    flat = [{"image": name, **row} for name, i in by_image.items() for row in i["detections"]]
    assert [{key: str(value) for key, value in row.items()} for row in flat] == rows
    assert listed["threshold"] == 0.5 and listed["classes"] == list(classes)
    assert len(findings.found) == len(by_image) == 12 and listed["unreadable"] == {}
    # Copies carry the boxes; the photographs are as they were.
    assert content(folder) == before
    best = rows[0]
    copy, own = (np.array(open_image(f / best["image"])).astype(int) for f in (output, folder))
    left, top, right, bottom = corners(best).round().astype(int)
    edge = np.abs(copy - own)[top + 30 : bottom - 5, left : left + 2].mean()
    inside = np.abs(copy - own)[top + 30 : bottom - 5, left + 12 : right - 12].mean()
    assert edge > 30 > 5 > inside


def test_one_file_as_in_a_batch(scenes, model, tmp_path):
    path = scenes[3].image
    (alone,) = detect(path, model, tmp_path / "one").found
    (again,) = (
        f for f in detect(path.parent, model, tmp_path / "all").found if f.image == path.name
    )
    np.testing.assert_allclose(alone.boxes, again.boxes, rtol=1e-3, atol=0.05)
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [
        "detections.csv",
        "detections.json",
        path.name,
    ]


def test_a_photograph_that_was_turned(scenes, model, tmp_path):
    """Stored sideways, with EXIF that says so: boxes and copy are those of the upright one."""
    upright = Image.open(scenes[0].image)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    (tmp_path / "photos").mkdir()
    upright.save(tmp_path / "photos" / "upright.png")
    upright.save(tmp_path / "photos" / "web.webp", lossless=True)
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "photos" / "turned.png", exif=exif)
    turned, straight, web = detect(tmp_path / "photos", model, tmp_path / "out").found
    assert turned.size == straight.size == upright.size
    assert len(straight.boxes) > 0
    np.testing.assert_allclose(turned.boxes, straight.boxes, rtol=1e-3, atol=0.05)
    np.testing.assert_array_equal(web.boxes, straight.boxes)
    assert Image.open(tmp_path / "out" / "web.webp").format == "WEBP"
    copies = [Image.open(tmp_path / "out" / f"{name}.png") for name in ("turned", "upright")]
    assert copies[0].size == upright.size and not copies[0].getexif()
    np.testing.assert_array_equal(*map(np.array, copies))


def test_what_cannot_be_read_is_told_and_borne(photos, model, tmp_path, capsys):
    (photos / "cut.jpg").write_bytes((photos / "one.jpg").read_bytes()[:2000])
    (photos / "empty.png").touch()
    (photos / "photo.heic").write_bytes(b"another format")
    (photos / "notes.txt").write_text("no image")
    (photos / ".hidden.jpg").write_bytes(b"")
    output = tmp_path / "out"
    assert main([str(photos), "--model", str(model), "--output", str(output)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("2 images, ") and "\ncannot be read: 3\n" in told
    _, listed = tables(output)
    assert sorted(listed["unreadable"]) == ["cut.jpg", "empty.png", "photo.heic"]
    assert all(
        "not a readable JPEG, PNG, BMP, WEBP image" in w for w in listed["unreadable"].values()
    )
    assert {image["image"] for image in listed["images"]} == {"one.jpg", "more/two.JPG"}
    assert (output / "more" / "two.JPG").is_file() and not (output / "cut.jpg").exists()

    (photos / "one.jpg").unlink()
    shutil.rmtree(photos / "more")
    assert main([str(photos), "--model", str(model), "--output", str(tmp_path / "none")]) == 1
    told = capsys.readouterr().out
    assert "none of the images can be read" in told and "cut.jpg: not a readable" in told
    assert not (tmp_path / "none").exists()


def test_an_image_that_its_format_cannot_hold_is_told(photos, model, tmp_path, capsys):
    """Named as another format than it has, and too long for that."""
    for name, width in (("long.webp", 17000), ("long.jpg", 66000)):
        Image.new("RGB", (width, 20)).save(photos / name, "PNG")
    output = tmp_path / "out"
    assert main([str(photos), "--model", str(model), "--output", str(output)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("4 images, ") and "\nwithout a copy: 2\n" in told
    assert "  long.webp: its 17000x20 pixels cannot be written as WEBP (" in told
    _, listed = tables(output)
    assert {"long.webp", "long.jpg"} <= {image["image"] for image in listed["images"]}
    assert not list(output.glob("long.*")) and (output / "one.jpg").is_file()


def test_nothing_of_the_users_is_overwritten(photos, model):
    before = content(photos)
    for output in (photos, photos / "more" / ".."):
        with pytest.raises(DetectError, match="would overwrite"):
            detect(photos, model, output)
    assert content(photos) == before
    # An output folder among the photographs is passed over the next time.
    for _ in range(2):
        assert len(detect(photos, model, photos / "detections").found) == 2
    assert {p: c for p, c in content(photos).items() if "detections" not in p.parts} == before


def test_odd_names_of_files(scenes, model, tmp_path, capsysbinary):
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ["Screenshot 3.14.15\u202fPM.jpg", "\u505c\u8f66 \U0001f697.jpg", "it's; $HOME.jpg"]
    names.append(83 * "\u6c34" + "12.jpg")  # 255 bytes, as many as a name may have
    names.append(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))  # Latin-1, of an old disk
    for name in names:
        shutil.copy(scenes[0].image, folder / name)
    assert main([str(folder), "--model", str(model), "--output", str(tmp_path / "out")]) == 0
    rows, listed = tables(tmp_path / "out")
    assert {image["image"] for image in listed["images"]} == {*names[:4], "caf\\udce9.jpg"}
    assert {row["image"] for row in rows} == {*names[:4], "caf\\udce9.jpg"}
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_thresholds(photos, model, tmp_path, capsys):
    counts = [
        sum(len(found.boxes) for found in detect(photos, model, tmp_path / "out", t).found)
        for t in (0, 0.3, 0.9, 1)
    ]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2] > counts[3] == 0
    with pytest.raises(DetectError, match="the threshold is 50"):
        detect(photos, model, tmp_path / "out", 50)
    arguments = [str(photos), "--model", f"{model}.pdmodel", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--threshold", "1"]) == 0
    assert "2 images, 0 detections with a score of 1 or more\n" in capsys.readouterr().out


@pytest.mark.parametrize("images", ["nowhere", "empty", "text"])
def test_no_images(model, tmp_path, capsys, images):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").touch()
    path = tmp_path / images
    assert main([str(path), "--model", str(model), "--output", str(tmp_path / "out")]) == 1
    expected = "no such file or folder" if images == "nowhere" else "holds no images"
    assert expected in capsys.readouterr().out


NAMES = [
    "stop",
    "\u505c\u8f66",
    "\u0930\u0941\u0915\u094b",
    "\u0627\u06cc\u0633\u062a\u200c\u06af\u0627\u0647",
]
NAMES += ["\u0441\u0442\u043e\u043f", "\U0001f6d1", "a\u3000b", "$x_1$", "<b>", "n" * 100]


def test_names_in_any_script(tmp_path):
    drawn = []
    for size in ((40, 30), (3000, 2000)):
        image = Image.new("RGB", size, "grey")
        box = [0.1 * size[0], 0.4 * size[1], 0.6 * size[0], 0.8 * size[1]]
        for name in NAMES:
            copy = draw_boxes(image, np.array([[1, 0.87, *box]]), (name,))
            assert copy.size == size and np.array(image).std() == 0
            drawn.append(copy.tobytes())
    assert len(set(drawn[len(NAMES) :])) == len(NAMES), "no two names look the same"


def test_a_name_without_end_is_cut_before_it_is_fitted():
    pieces, _, _ = drawing._fit("x" * 5000, "0.87", 11, 10**6)
    assert "".join(piece for piece, _ in pieces) == "x" * 100 + "… 0.87"


def test_boxes_at_the_edges_and_none():
    image = Image.new("RGB", (100, 50))
    boxes = np.array([[2, 0.9, 0, 0, 100, 50], [1, 0.8, 99, 49, 100, 50], [1, 0.7, 20, 20, 20, 20]])
    assert draw_boxes(image, boxes, ("a", "b")).size == (100, 50)
    assert draw_boxes(image, boxes[:0], ("a", "b")).tobytes() == image.tobytes()
    assert draw_boxes(image, boxes, ("", "b")).tobytes() != image.tobytes()


def made(*variables: str) -> list[str]:
    """The words of the command that make would run."""
    # Under `make test` this is a make inside a make, which would say so in lines of its own.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "-n", "detect", *variables],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    words = shlex.split(done.stdout.replace("\\\n", "").splitlines()[-1])
    return words[words.index(module.__name__) + 1 :]


def test_make_hands_everything_on():
    images, model = "/my photos/it's $(HOME)", "/my models/pruned"
    variables = [f"IMAGES={images}", f"MODEL={model}", "THRESHOLD=0.3", "OUTPUT=/my build"]
    options = [f"--model={model}", "--threshold=0.3", "--output=/my build/detections"]
    assert made(*variables) == [*options, "--", images]
    options = ["--model=build/models/pruned", "--threshold=0.5", "--output=build/detections"]
    assert made("IMAGES=-a.jpg") == [*options, "--", "-a.jpg"]


@pytest.mark.parametrize("size", [(50, 1800), (120, 100), (2000, 60)])
def test_a_label_keeps_its_score_and_leaves_most_of_the_image(size):
    image, name = Image.new("RGB", size), "a very long name of a class that nobody would give"
    box = np.array([[1, 0.87, 0.6 * size[0], 0.5 * size[1], *size]])
    assert np.asarray(draw_boxes(image, box, (name,))).any(axis=2).mean() < 0.5
    pieces, _, widths = drawing._fit(name, "0.87", 11, size[0])
    assert sum(widths) <= size[0]
    text = "".join(piece for piece, _ in pieces)
    assert text.endswith(" 0.87") and (len(text) > len(name)) == (size[0] > 1000)
