"""What the page "Try it" is given to load."""

import base64
import gzip
import io
import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from docs import tryit
from docs.npm import PackageError
from ssd_model.data.faults import DataError
from ssd_model.data.folder import read_data
from ssd_model.data.scenes import CLASSES, write_scenes
from tests.helpers.photographs import photograph


@pytest.fixture
def work(tmp_path):
    """A run with two small models and two test images."""
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["image"], ["out"])],
        "g",
        [value],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph)
    facts = {"preprocessing": {"size": [300, 300]}, "suppression": {}, "classes": ["b", *CLASSES]}
    helper.set_model_props(model, {name: json.dumps(fact) for name, fact in facts.items()})
    (tmp_path / "models").mkdir()
    for name in tryit.NETWORKS:
        onnx.save(model, tmp_path / "models" / f"{name}-weights-int8.onnx")
    split = read_data(write_scenes(tmp_path / "signs", trainval=1, test=2), "test")
    return SimpleNamespace(output=tmp_path, test=split)


def read(folder) -> dict:
    text = (folder / "about.js").read_text(encoding="utf-8")
    return json.loads(text.splitlines()[0].removeprefix("const ABOUT = ").removesuffix(";"))


def engine(names):
    return [f"{name}\n//# sourceMappingURL=x.map".encode() for name in names]


def test_the_page_gets_engine_networks_and_images(work, tmp_path, monkeypatch):
    monkeypatch.setattr(tryit.Package, "read", lambda self, names: engine(names))
    tryit.write_tryit(work, tmp_path / "page")
    about = read(tmp_path / "page")
    assert about["classes"] == ["b", *CLASSES]
    model = (tmp_path / "models" / "pruned-weights-int8.onnx").read_bytes()
    assert about["networks"][1] == {"name": "pruned", "bytes": len(model)}
    script = (tmp_path / "page" / "pruned.js").read_text()
    assert about["engine"]["parts"]["pruned"] == len(script)
    assert gzip.decompress(base64.b64decode(script.split('"')[3])) == model
    assert "sourceMappingURL" not in (tmp_path / "page" / tryit.SCRIPT).read_text()
    assert "Copyright (c)" in (tmp_path / "page" / "LICENCE.txt").read_text()
    for sample, record in zip(about["samples"], work.test.records, strict=True):
        assert base64.b64decode(sample["base64"]) == record.image.read_bytes()


def test_without_a_net_all_but_the_engine_is_there(work, tmp_path, monkeypatch, capsys):
    def read_nothing(self, names):
        raise PackageError("no such host")

    monkeypatch.setattr(tryit.Package, "read", read_nothing)
    tryit.write_tryit(work, tmp_path / "page")
    assert read(tmp_path / "page")["engine"] is None
    assert "cannot run the networks: no such host" in capsys.readouterr().out
    assert not (tmp_path / "page" / "pruned.js").exists()


def test_a_run_without_models_is_refused(work, tmp_path):
    (tmp_path / "models" / "unpruned-weights-int8.onnx").unlink()
    with pytest.raises(tryit.NoModelError, match=r"unpruned-weights-int8\.onnx: make run-noteb"):
        tryit.write_tryit(work, tmp_path / "page")


def test_images_that_are_gone_are_left_out(work, tmp_path, monkeypatch, capsys):
    class Gone:
        @property
        def records(self):
            raise DataError("no such folder")

    monkeypatch.setattr(tryit.Package, "read", lambda self, names: engine(names))
    tryit.write_tryit(SimpleNamespace(output=work.output, test=Gone()), tmp_path / "page")
    assert read(tmp_path / "page")["samples"] == []
    assert "has no test images: no such folder" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["large.png", "old.bmp"])
def test_large_and_unusual_images_become_small_jpegs(work, name):
    record = work.test.records[0]
    path = record.image.with_name(name)
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    image = Image.fromarray(noise) if name == "large.png" else photograph(0)
    image.save(path)
    changed = SimpleNamespace(image=path, upright=True, open=lambda largest: image.resize((8, 6)))
    sample = tryit._sample(changed)
    assert sample["type"] == "image/jpeg" and sample["name"] == name
    assert Image.open(io.BytesIO(base64.b64decode(sample["base64"]))).format == "JPEG"
