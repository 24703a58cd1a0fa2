"""The notebooks: tidy as sources, and what they report, whichever way they are run."""

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest

from docs.lab import write_sources
from notebooks import run as runner
from notebooks.run import NOTEBOOKS
from ssd_model.weights import read_tensors, read_weights
from tests.helpers.notebook_runs import outputs_of, run
from tests.helpers.voc_folder import add_image, object_xml, write_set
from utils.paths import BASELINE, ROOT

KEYS = [
    "profile", "data", "classes", "seed", "images_trained", "images_tested", "cut_by",
    "target_ratio", "pruned_params", "channel_ratio", "flops_before", "flops_after",
    "parameters_before", "parameters_after", "file_bytes_before", "file_bytes_after",
    "map_baseline", "map_pruned", "map_reconstructed", "map_finetuned", "map_control",
    "map_difference_range", "map_coco_finetuned", "map_coco_control", "ap_by_class",
    "latency_ms_before", "latency_ms_after", "shapes_match", "outputs_max_abs_difference",
]  # fmt: skip


def solutions(notebook: nbformat.NotebookNode) -> list[str]:
    """The Python in the folded blocks of a notebook's exercises."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    folded = re.findall(r"<details>(.*?)</details>", prose, re.S)
    blocks = (re.findall(r"^( *)```python\n(.*?)^ *```", text, re.S | re.M) for text in folded)
    return [textwrap.dedent(code) for found in blocks for _, code in found]


def with_solutions(path: Path, folder: Path) -> Path:
    """A copy of a notebook that tries its solutions at its end; one that fails stops nothing."""
    notebook = nbformat.read(path, as_version=4)
    for code in solutions(notebook):
        cell = nbformat.v4.new_code_cell(code, metadata={"tags": ["solution", "raises-exception"]})
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_sources_are_tidy(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    assert max(cell.source.count("\n") for cell in code) < 20
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}


def test_all_four_have_the_same_parameters():
    cells = {
        next(
            cell.source
            for cell in nbformat.read(path, as_version=4).cells
            if "parameters" in cell.metadata.get("tags", [])
        )
        for path in NOTEBOOKS
    }
    assert len(NOTEBOOKS) == 4 and len(cells) == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The output folder of all four notebooks, on the drawn scenes, solutions tried as well.

    They are those of `make lab LOCALE=zh_CN`, which have the same code, and lie elsewhere.
    """
    output, sources = tmp_path_factory.mktemp("smoke"), tmp_path_factory.mktemp("zh_CN")
    write_sources(sources)
    with pytest.MonkeyPatch.context() as patch:
        chinese = [sources / "notebooks" / path.name for path in NOTEBOOKS]
        copies = [with_solutions(path, path.parent) for path in chinese]
        patch.setattr(runner, "NOTEBOOKS", copies)
        settings = {"profile": "smoke", "output": str(output), "target_ratio": 0.3}
        assert runner.run(settings) == 0
    return output


def test_the_report_of_the_drawn_scenes(finished):
    report = json.loads((finished / "report.json").read_text())
    assert list(report) == KEYS
    assert report["profile"] == "smoke"
    assert report["target_ratio"] == 0.3
    assert report["channel_ratio"] == 0.203125
    assert report["flops_after"] / report["flops_before"] == pytest.approx(0.7, abs=0.02)
    assert report["parameters_after"] < report["parameters_before"]
    assert report["file_bytes_after"] < report["file_bytes_before"]
    assert report["shapes_match"] is True
    assert report["outputs_max_abs_difference"] < 1e-3
    assert report["latency_ms_after"] > 0
    for key in ("map_baseline", "map_pruned", "map_reconstructed", "map_finetuned", "map_control"):
        assert 0 <= report[key] <= 1
    assert report["map_baseline"] > 0.5
    low, high = report["map_difference_range"]
    assert low <= report["map_finetuned"] - report["map_control"] <= high
    assert report["cut_by"] == "UniformPruneStrategy, reconstruction"
    # Ten overlaps, of which a half is the loosest
    assert 0 < report["map_coco_finetuned"] < report["map_finetuned"]
    assert 0 < report["map_coco_control"] < report["map_control"]
    assert list(report["ap_by_class"]) == report["classes"]


def test_the_unpruned_network_that_is_saved_is_the_control(finished):
    control, _ = read_tensors(finished / "control.safetensors")
    shapes = {name: array.shape for name, array in control.items()}
    saved = read_weights(finished / "models" / "unpruned.pdiparams", shapes).arrays
    baseline = read_weights(BASELINE, shapes).arrays
    for name, array in control.items():
        np.testing.assert_array_equal(saved[name], array, err_msg=name)
        assert not np.array_equal(baseline[name], array), name


def test_executed_copies_show_their_outputs(finished):
    for path in NOTEBOOKS:
        cells = nbformat.read(finished / "notebooks" / path.name, as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output.output_type == "error"]
        assert not [output for output in outputs if output.get("name") == "stderr"], outputs
        assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_run(finished, path):
    cells = nbformat.read(finished / "notebooks" / path.name, as_version=4).cells
    tried = [cell for cell in cells if "solution" in cell.metadata.get("tags", [])]
    assert len(tried) >= 3
    for cell in tried:
        failed = [output for output in cell.outputs if output.output_type == "error"]
        assert cell.outputs and not failed, cell.source


def test_their_own_voc_folder(tmp_path):
    data = tmp_path / "pets"
    for i in range(8):
        cat, dog = object_xml("cat", 10, 20, 90, 100), object_xml("dog", 60.5, 10, 150.5, 80)
        add_image(data, f"{i:03}", cat, dog, size=(160, 120 + 20 * i), color=(30 * i, 90, 200))
    # A class with a name that plots and tables must not take for more, and not in the test images
    odd = object_xml("&lt;b>$\\bad$&lt;/b>", 5, 5, 60, 60)
    add_image(data, "000", odd, size=(160, 120))
    write_set(data, "trainval", [f"{i:03}" for i in range(6)])
    write_set(data, "test", ["006", "007"])
    output = tmp_path / "out"
    done = run("--data-dir", str(data), "--output", str(output))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((output / "report.json").read_text())
    assert report["classes"] == ["<b>$\\bad$</b>", "cat", "dog"]
    assert set(report["ap_by_class"]["<b>$\\bad$</b>"].values()) == {None}
    assert report["data"] == str(data)
    executed = (output / "notebooks" / "02_write_config.ipynb").read_text()
    assert "187 parameters loaded, 12 start fresh" in executed
    for path in NOTEBOOKS:
        cells = nbformat.read(output / "notebooks" / path.name, as_version=4).cells
        outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        assert not any("<b>$" in "".join(output.get("text/html", "")) for output in outputs)

    # Another cut in the same folder: baseline and control are used again, and both cuts compared.
    (output / "compress.yaml").unlink()
    (baseline,) = output.glob("baseline-*")
    trained = baseline.stat().st_mtime_ns
    for notebook in ("03", "04"):
        arguments = "--target-ratio", "0.4", "--only", notebook
        done = run("--data-dir", str(data), "--output", str(output), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert baseline.stat().st_mtime_ns == trained
    told = outputs_of(output / "notebooks" / "03_compress.ipynb")
    assert sum(f"control: {output}/control.safetensors" in text for text in told) == 1
    again = json.loads((output / "report.json").read_text())
    assert again["map_control"] == report["map_control"]
    assert again["flops_after"] < report["flops_after"]
    cells = nbformat.read(output / "notebooks" / "04_save_and_verify.ipynb", as_version=4).cells
    (cuts,) = [
        cell.outputs[0].data["text/html"] for cell in cells if cell.source == "compare_cuts(work)"
    ]
    assert all(f"{each['flops_after'] / 1e6:.3f}" in cuts for each in (report, again))


@pytest.fixture(scope="module")
def detour(tmp_path_factory) -> Path:
    """As `finished`, by another way: 4 alone, 3 killed halfway, 3 again, 4 again."""
    output = tmp_path_factory.mktemp("detour")
    arguments = ["--output", str(output), "--target-ratio", "0.3", "--only"]
    alone = run(*arguments, "04")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    (output / "report.json").rename(output / "report-alone.json")
    (output / "notebooks" / "04_save_and_verify.ipynb").rename(output / "alone.ipynb")
    killed = subprocess.Popen(
        [sys.executable, "-m", "notebooks.run", "--profile", "smoke", *arguments, "03"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    while killed.poll() is None and not list(output.glob("checkpoints/*/pruned/epoch-*")):
        time.sleep(0.1)
    assert killed.poll() is None, "the notebook ended before it could be killed"
    killed.kill()  # the kernel sees it and ends itself
    killed.wait()
    for notebook in ("03", "04"):
        done = run(*arguments, notebook)
        assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_the_last_notebook_alone(detour):
    report = json.loads((detour / "report-alone.json").read_text())
    assert report["map_finetuned"] is None and report["shapes_match"] is True
    assert "Run notebook 3" in (detour / "alone.ipynb").read_text()


def test_an_interrupted_notebook_goes_on_where_it_was(detour):
    copy = (detour / "notebooks" / "03_compress.ipynb").read_text()
    assert "this run is complete; its result is in" in copy


def test_every_way_through_the_notebooks_gives_the_same_report(finished, detour):
    reports = []
    for output in (finished, detour):
        report = json.loads((output / "report.json").read_text())
        assert report.pop("data") == str(output / "data" / "signs-smoke")
        reports.append({key: value for key, value in report.items() if "latency" not in key})
    assert reports[0]["map_finetuned"] is not None
    assert reports[0] == reports[1]


def test_a_pattern_that_can_save_little_is_taken(tmp_path):
    done = run("--output", str(tmp_path), "--only", "02", "--pruned-params", "conv2d_[7-9].w_0")
    assert done.returncode == 0, done.stdout + done.stderr
    told = outputs_of(tmp_path / "notebooks" / "02_write_config.ipynb")
    assert sum("target_ratio 0.5 is out of reach" in text for text in told) == 1
