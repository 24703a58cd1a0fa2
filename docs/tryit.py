"""What the page "Try it" carries: the engine, both networks, test images, and facts about them."""

import base64
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

from matplotlib.colors import to_hex

from docs.npm import Package, PackageError
from ssd_model.data.faults import DataError
from ssd_model.data.records import Record
from ssd_model.export.onnx_metadata import read_metadata
from utils.paths import ROOT
from utils.plots import BOX_COLOURS
from utils.workspace import Workspace

ENGINE = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
SCRIPT = "ort.wasm.min.js"
PARTS = {
    "ort_module": "ort-wasm-simd-threaded.mjs",
    "ort_wasm": "ort-wasm-simd-threaded.wasm",
}
LICENCE = ROOT / "docs" / "licences" / "onnxruntime-web.txt"
NETWORKS = ("unpruned", "pruned")
SAMPLES = 10
LARGEST_BYTES = 300_000
"""Of a test image; a larger one is made smaller for the page."""
LARGEST_SIDE = 800
"""Pixels of its longer side then."""
TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}


class NoModelError(ValueError):
    """The run left no network for the page."""


def write_tryit(work: Workspace, folder: Path) -> None:
    """Write what the page "Try it" loads.

    Without a network the engine cannot be fetched; then the page says so, and a line is printed.

    Raises:
        NoModelError: notebook 4 left no model.
    """
    models = {name: work.output / "models" / f"{name}-weights-int8.onnx" for name in NETWORKS}
    for path in models.values():
        if not path.exists():
            raise NoModelError(f"there is no {path}: make run-notebooks")
    folder.mkdir(parents=True)
    facts = read_metadata(models["pruned"])
    about = {
        "preprocessing": facts["preprocessing"],
        "suppression": facts["suppression"],
        "classes": facts["classes"],
        "colours": [to_hex(BOX_COLOURS(i)) for i in range(BOX_COLOURS.N)],
        "networks": [{"name": name, "bytes": p.stat().st_size} for name, p in models.items()],
        "samples": _samples(work),
        "engine": _write_engine(folder, models),
    }
    write_script(folder / "about.js", "ABOUT", about)
    with (folder / "about.js").open("a", encoding="utf-8") as file:
        file.write("const PARTS = {};\n")


def write_script(path: Path, name: str, content: Any) -> None:
    """Write JSON as a script that defines a constant, for pages that may not fetch."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(f"const {name} = {text};\n", encoding="utf-8")


def _write_engine(folder: Path, models: dict[str, Path]) -> dict[str, Any] | None:
    """Write the engine's and the networks' files as scripts; None if it cannot be fetched."""
    try:
        script, *files = ENGINE.read([f"dist/{name}" for name in (SCRIPT, *PARTS.values())])
    except PackageError as error:
        print(f'the page "Try it" cannot run the networks: {error}')
        return None
    # Its map is not here, and developer tools would look for it.
    code, _, _ = script.decode().partition("//# sourceMappingURL=")
    (folder / SCRIPT).write_text(code)
    shutil.copy(LICENCE, folder / "LICENCE.txt")
    parts = dict(zip(PARTS, files, strict=True))
    parts |= {name: path.read_bytes() for name, path in models.items()}
    sizes = {}
    for name, content in parts.items():
        text = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        sizes[name] = (folder / f"{name}.js").write_text(f'PARTS["{name}"]="{text}";\n')
    return {"version": ENGINE.version, "parts": sizes}


def _samples(work: Workspace) -> list[dict[str, str]]:
    """The first test images, if they are still there."""
    try:
        return [_sample(record) for record in work.test.records[:SAMPLES]]
    except DataError as error:
        print(f'the page "Try it" has no test images: {error}')
        return []


def _sample(record: Record) -> dict[str, str]:
    """A test image as it is, or as a smaller JPEG if it is large or few browsers read it."""
    path = record.image
    kind, content = TYPES.get(path.suffix.lower()), path.read_bytes()
    if kind is None or not record.upright or len(content) > LARGEST_BYTES:
        file = io.BytesIO()
        record.open(LARGEST_SIDE).save(file, "JPEG", quality=90)
        kind, content = TYPES[".jpg"], file.getvalue()
    return {"name": path.name, "type": kind, "base64": base64.b64encode(content).decode()}
