"""Execute the notebooks in order, without a screen: `make run-notebooks`.

The executed copies go to <output>/notebooks. A notebook that fails stops the rest; its partly
executed copy is kept.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError

from utils.paths import ROOT
from utils.profiles import PROFILES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def run(parameters: dict[str, Any], only: str = "") -> int:
    """Run all notebooks, or those whose name contains `only`; returns the exit status."""
    folder = ROOT / parameters["output"] / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    # A kernel can't tell that nobody looks at its progress bars.
    os.environ["TQDM_DISABLE"] = "1"
    chosen = [notebook for notebook in NOTEBOOKS if only in notebook.name]
    if not chosen:
        print(f"no notebook has {only!r} in its name")
        return 2
    for notebook in chosen:
        started = time.monotonic()
        print(f"{notebook.name} ...", flush=True)
        try:
            papermill.execute_notebook(
                notebook,
                folder / notebook.name,
                parameters=parameters,
                cwd=notebook.parent,
                progress_bar=False,
                log_output=False,
                extra_arguments=["--log-level=ERROR"],
            )
        except PapermillExecutionError as error:
            message = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}")
            print(f"{notebook.name} failed in cell {error.exec_count}:\n  {message}")
            print(f"what it did until then: {folder / notebook.name}")
            return 1
        print(f"{notebook.name} done in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Execute the notebooks in order.")
    parser.add_argument("--data-dir", default="", help="a VOC folder; default: drawn road signs")
    parser.add_argument("--profile", default="standard", choices=PROFILES)
    parser.add_argument("--target-ratio", type=float, default=0.2, help="share of FLOPs to cut")
    parser.add_argument("--pruned-params", help="regular expression of the filters to cut")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="build", help="folder for everything generated")
    parser.add_argument("--only", default="", help="run only notebooks with this in their name")
    arguments = vars(parser.parse_args())
    only = arguments.pop("only")
    if arguments["data_dir"]:
        # The kernels run elsewhere.
        arguments["data_dir"] = str(Path(arguments["data_dir"]).expanduser().resolve())
    return run({key: value for key, value in arguments.items() if value is not None}, only)


if __name__ == "__main__":
    sys.exit(main())
