"""Execute the notebooks in order, unattended: `make run-notebooks`.

The executed copies go to <output>/notebooks. If a notebook fails, the rest are not run, and its
partly executed copy is kept. Only one run at a time may use an output folder. Paddle is loaded by
the kernels alone: it would take a third of a GB here, too.
"""

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import write_kernel_spec
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from ssd_model.lock import LockError, lock

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PROFILES = ("smoke", "standard", "full")
OPTIONS = ("minutes", "epochs", "batch_size", "learning_rate", "pretrained", "flip")
"""Arguments that are fields of `utils.profiles.Options`."""
YES_NO = {"yes": True, "no": False}


class NotebookError(RuntimeError):
    """A notebook did not run to its end."""

    def __init__(self, name: str, cell: int, message: str, copy: Path):
        super().__init__(
            f"{name} failed in cell {cell}:\n  {message}\nwhat it did until then is in {copy}"
        )


def run(parameters: dict[str, Any], only: str = "") -> int:
    """Run all notebooks, or those whose name contains `only`, and return the exit status."""
    chosen = [notebook for notebook in NOTEBOOKS if only in notebook.name]
    if not chosen:
        print(f"no notebook has {only!r} in its name")
        return 2
    # A kernel can't know that nobody is looking at its progress bars.
    os.environ["TQDM_DISABLE"] = "1"
    output = ROOT / parameters["output"]
    if (output / "notebooks").resolve() == ROOT / "notebooks":
        print("OUTPUT is the project itself, whose notebooks the copies would replace: try build")
        return 2
    try:
        with lock(output), own_kernel():
            (output / "notebooks").mkdir(exist_ok=True)
            for notebook in chosen:
                started = time.monotonic()
                print(f"{notebook.name} ...", flush=True)
                execute(notebook, output / "notebooks" / notebook.name, parameters)
                print(f"{notebook.name} done in {time.monotonic() - started:.0f} s", flush=True)
        if not only:
            where = shlex.quote(parameters["output"])
            print(f'Next: "make html OUTPUT={where}" builds the pages; "make detect OUTPUT={where}')
            print('IMAGES=..." draws what the pruned network finds in your photographs.')
    except (NotebookError, LockError, OSError) as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        print("stopped; run this again, and training resumes after its last complete epoch")
        return 130
    return 0


@contextmanager
def own_kernel() -> Iterator[None]:
    """Let python3 be this interpreter with these packages, whatever a user's kernel spec says."""
    before = os.environ.get("JUPYTER_PATH")
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        write_kernel_spec(Path(folder) / "kernels" / "python3", {"env": {"PYTHONPATH": paths}})
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [folder, before]))
        try:
            yield
        finally:
            os.environ.pop("JUPYTER_PATH")
            if before is not None:
                os.environ["JUPYTER_PATH"] = before


def execute(notebook: Path, copy: Path, parameters: dict[str, Any]) -> None:
    """Run one notebook; show what it prints, and write the executed copy after each cell.

    Raises:
        NotebookError: a cell failed, or the kernel died.
    """
    try:
        papermill.execute_notebook(
            # papermill would take what is in braces for parameters.
            *(str(path).replace("{", "{{").replace("}", "}}") for path in (notebook, copy)),
            parameters=parameters,
            cwd=notebook.parent,
            progress_bar=False,
            log_output=False,
            # Training prints how long it will take, and what each epoch reached.
            stdout_file=sys.stdout,
            # Cells report their errors themselves; the kernel logs its own end as an ERROR.
            extra_arguments=["--log-level=CRITICAL", "--ext=docs.plot_words"],
        )
    except PapermillExecutionError as error:
        message = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
        raise NotebookError(notebook.name, error.exec_count, message, copy) from error
    except DeadKernelError as error:
        message = "the kernel died; perhaps it was killed because memory ran out"
        raise NotebookError(notebook.name, _last_begun(copy), message, copy) from error


def _last_begun(copy: Path) -> int:
    """The number of the last code cell that a notebook started."""
    code = [c for c in nbformat.read(copy, as_version=4).cells if c.cell_type == "code"]
    return sum(cell.metadata.papermill.start_time is not None for cell in code)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        message = f"{text!r} is not a share of the FLOPs: give one between 0 and 1, such as 0.2"
        raise argparse.ArgumentTypeError(message)
    return share


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        message = f"{text!r} is not a regular expression: {error}"
        raise argparse.ArgumentTypeError(message) from error
    return text


def main() -> int:
    # The notebooks print names of the user's, which no terminal's encoding must stop.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description="Execute the notebooks in order.")
    parser.add_argument("--data-dir", default="", help="VOC or COCO folder; default: drawn signs")
    parser.add_argument("--profile", default="standard", choices=PROFILES)
    parser.add_argument("--target-ratio", type=_share, default=0.2, help="share of FLOPs to cut")
    parser.add_argument(
        "--pruned-params", type=_pattern, help="regular expression of the filters to cut"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="build", help="folder for everything generated")
    parser.add_argument("--minutes", type=float, help="roughly how long a baseline may train")
    parser.add_argument("--epochs", type=int, help="of training a baseline")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float, help="peak, while a baseline is trained")
    parser.add_argument("--pretrained", help="weights that a baseline starts from")
    parser.add_argument("--flip", choices=YES_NO, help="images left to right, in training")
    parser.add_argument("--only", default="", help="run only notebooks with this in their name")
    arguments = vars(parser.parse_args())
    only = arguments.pop("only")
    for name in ("data_dir", "pretrained"):
        if arguments[name]:
            # The kernels run in another folder.
            arguments[name] = str(Path(arguments[name]).expanduser().resolve())
    arguments["output"] = str(Path(arguments["output"]).expanduser())
    arguments["flip"] = YES_NO.get(arguments["flip"])
    said = {name: arguments.pop(name) for name in OPTIONS}
    options = {name: value for name, value in said.items() if value is not None}
    parameters = {name: value for name, value in arguments.items() if value is not None}
    return run({**parameters, **({"options": options} if options else {})}, only)


if __name__ == "__main__":
    sys.exit(main())
