"""ONNX files for other engines, by the programs that those engines bring along."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def convert(path: Path, command: Sequence[str | Path], *makes: str) -> list[bytes]:
    """Run a converter on a copy of an ONNX file, in a folder that is gone afterwards.

    Args:
        command: what to run; there, the copy is `model.onnx`.
        makes: names of the files to keep; most converters write more.

    Returns:
        What is in these files.

    Raises:
        RuntimeError: the converter failed; the message is its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(path, Path(folder) / "model.onnx")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        files = [Path(folder) / name for name in makes]
        if done.returncode or not all(file.exists() for file in files):
            words = (done.stdout + done.stderr)[-2000:]
            raise RuntimeError(f"{path} could not be converted by {command[0]}: {words}")
        return [file.read_bytes() for file in files]
