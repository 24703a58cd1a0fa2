"""Measure the engines for boards beside ONNX Runtime: results/boards.json, tables in docs/board.md.

`make benchmark-boards` runs this on a computer, so the times only compare engines and networks.
"""

import platform
from importlib.metadata import version
from typing import Any

import pandas as pd

from benchmark.__main__ import RATIOS, latency
from benchmark.board_engines import BOARD_ENGINES
from benchmark.networks import Network
from benchmark.page import latency_table, machine_table
from ssd_model.files import write_file, write_json
from study.machine import machine
from study.tables import Table, fill
from utils.paths import RESULTS, ROOT

PAGE = ROOT / "docs" / "board.md"
PACKAGES = {"ncnn": "ncnn", "MNN": "mnn", "LiteRT": "ai-edge-litert"}


def tables(result: dict[str, Any]) -> dict[str, Table]:
    """Make the tables of the page, by the names of their marks."""
    return {"board-machine": machine_table(result), "board-latency": latency_table(result)}


def main() -> None:
    engines = [name for name, engine in BOARD_ENGINES.items() if engine.is_installed()]
    for name in BOARD_ENGINES.keys() - engines:
        print(f"{name} or its converter is not installed: it is left out")
    networks = [Network(ratio) for ratio in RATIOS]
    for network in networks:
        network.write()
        for name in engines:
            BOARD_ENGINES[name].write(network.prefix)
    packages = ["numpy", "onnxruntime", *(PACKAGES[name] for name in engines)]
    result = {
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "latency": latency(networks, ["ONNX Runtime", *engines], (1,), rounds=3, runs=20),
    }
    write_json(RESULTS / "boards.json", result)
    write_file(PAGE, fill(PAGE.read_text(encoding="utf-8"), tables(result)).encode())
    for columns, *lines in tables(result).values():
        print(pd.DataFrame(lines, columns=columns).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
