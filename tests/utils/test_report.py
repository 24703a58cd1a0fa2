"""The comparison of the cuts that were made in a folder."""

from pruning.artifacts import Run
from pruning.history import History
from tests.helpers.voc_folder import make_voc
from utils.report import compare_cuts, write_report
from utils.workspace import Workspace

MEASURED = {
    "latency_ms": (8.0, 6.0),
    "map_difference_range": (-0.25, 0.125),
    "shapes_match": True,
    "outputs_max_abs_difference": 0.0,
}


def history(flops: int, value: float | None) -> History:
    rows = [] if value is None else [{"stage": "finetuned", "epoch": 1, "map": value}]
    return History(rows, [{"conv2d_1.w_0": 0.5}], 100_000_000, flops, 10, 5)


def test_cuts_are_compared(tmp_path):
    work = Workspace(str(tmp_path / "out"), str(make_voc(tmp_path / "pets")), "smoke")
    assert compare_cuts(work).empty
    control = history(100_000_000, 0.75)
    for ratio, flops, value, cut_by in (
        (0.5, 50_000_000, 0.5, "A, l1_norm"),
        (0.5, 50_000_000, 0.625, "A, bn_scale"),  # as large, but others
        (0.2, 80_000_000, 0.7, "A, l1_norm"),
        (0.2, 80_000_000, 0.6875, "A, l1_norm"),  # the same again
        (0.9, 10_000_000, None, "A, l1_norm"),  # not fine-tuned
    ):
        run = Run(history(flops, value), ratio, "conv2d_1.w_0", cut_by)
        write_report(work, run, control, **MEASURED)
    table = compare_cuts(work)
    assert list(table.index) == [0.2, 0.5, 0.5]
    assert sorted(table["mAP"]) == [0.5, 0.625, 0.688]
    assert set(table["of unpruned"]) == {0.75}
    assert table["mAP - control"][0.2] == "-0.062 (-0.250 to +0.125)"
    # Other data, other rows
    other = Workspace(str(tmp_path / "out"), str(make_voc(tmp_path / "more", ["x"])), "smoke")
    assert compare_cuts(other).empty
