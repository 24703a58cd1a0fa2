"""Run the trials that results/ lacks, and write its page: `make results`."""

import argparse
from pathlib import Path

from ssd_model.files import write_json
from ssd_model.lock import LockError, lock
from study.page import tables, write_page
from study.trials import add_controls, load_rows, measure, missing, run_trial, trial_folder
from study.untrained import measure_budgets, measure_repairs
from utils.paths import RESULTS, ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what pruning costs; writes results/.")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder to write")
    parser.add_argument("--latency", action="store_true", help="time all networks once more")
    arguments = parser.parse_args()
    for trial in missing(arguments.out):
        try:
            with lock(trial_folder(trial)):
                print(f"--- {trial.name}", flush=True)
                if trial in missing(arguments.out):
                    write_json(trial_folder(trial) / "row.json", run_trial(trial))
        except LockError:
            print(f"--- {trial.name}: another process is at it", flush=True)
    rows = load_rows(arguments.out)
    add_controls(rows)
    if arguments.latency or any(row["latency_ms_after"] is None for row in rows):
        measure(rows)
    write_json(arguments.out / "results.json", rows)
    repairs, budgets = measure_repairs(arguments.out), measure_budgets(arguments.out)
    write_page(arguments.out, tables(rows, repairs, budgets), rows, ROOT / "README.md")


if __name__ == "__main__":
    main()
