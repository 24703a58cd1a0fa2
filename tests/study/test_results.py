"""results/: the pages show what results.json holds, and the study knows what is left to do."""

import json

import pandas as pd
import pytest

from ssd_model.files import write_json
from study import trials
from study.page import main_table, tables
from study.tables import fill
from study.trials import RECIPE, TRIALS, Trial, add_controls, load_rows, missing
from utils.paths import RESULTS, ROOT


@pytest.fixture
def rows():
    return load("results")


def load(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


@pytest.mark.parametrize("page", [ROOT / "README.md", RESULTS / "README.md"])
def test_pages_show_the_results(page, rows):
    text, made = page.read_text(), tables(rows, load("repairs"), load("budgets"))
    assert any(f"<!-- {name} -->" in text for name in made)
    assert fill(text, made) == text, "write_page of study/page.py makes the tables anew"


def test_csv_is_the_same(rows):
    frame = pd.read_csv(RESULTS / "results.csv")
    assert frame["name"].tolist() == [row["name"] for row in rows]
    assert frame["map_finetuned"].tolist() == [row["map_finetuned"] for row in rows]


def test_every_row_is_whole(rows):
    for row in rows:
        assert row["shapes_match"]
        assert row["outputs_max_abs_difference"] < 1e-3
        assert row["commit"] and row["versions"] and row["machine"]
        assert row["latency_ms_after"] > 0
        assert len(row["ap_by_class"]) == len(row["classes"])


def test_names_tell_trials_apart():
    assert len({trial.name for trial in TRIALS}) == len(TRIALS)


def test_what_is_left_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "BUILD", tmp_path / "build")
    done, old, left, fresh = TRIALS[:4]

    def row(trial, **other):
        return {"name": trial.name, **RECIPE, "map_finetuned": 0.5, **other}

    write_json(tmp_path / "results.json", [row(done), row(old, peak_rate=1.0)])
    write_json(tmp_path / "build" / "results" / fresh.name / "row.json", row(fresh))
    names = [trial.name for trial in missing(tmp_path)]
    assert done.name not in names and fresh.name not in names
    assert {old.name, left.name} <= set(names)
    assert [row["name"] for row in load_rows(tmp_path)] == [done.name, old.name, fresh.name]


def test_control_is_of_the_same_seed_and_recipe():
    def row(ratios, seed, teacher, epochs, value):
        recipe = {"seed": seed, "teacher": teacher, "epochs": epochs}
        return {"ratios": ratios, **recipe, "map_finetuned": value}

    rows = [row([], 0, "outputs", 1, 0.9), row([], 1, "outputs", 1, 0.8)]
    rows += [row([{}], 1, "outputs", 1, 0.7)]
    rows += [row([{}], 0, None, 1, 0.6), row([{}], 1, "outputs", 2, 0.6)]
    add_controls(rows)
    assert [r["map_control"] for r in rows] == [0.9, 0.8, 0.8, None, None]


def test_table_by_hand():
    def row(target, seed, value, control, **other):
        pruned = {"map_pruned": 0.1, "map_reconstructed": 0.6} if target else {}
        return {
            "target_ratio": target, "seed": seed, "strategy": "uniform", "criterion": "l1_norm",
            "reconstruct_images": 160 if target else 0, "teacher": None,
            "epochs": 2, "flops_before": 2e9, "flops_after": 2e9 * (1 - target),
            "parameters_after": 5e6, "file_bytes_after": 2e7, "latency_ms_before": 20.0,
            "latency_ms_after": 15.0, "map_pruned": None, "map_reconstructed": None, **pruned,
            "map_finetuned": value, "map_control": control, **other,
        }  # fmt: skip

    rows = [row(0.0, 0, 0.8, 0.8), row(0.5, 0, 0.70, 0.8), row(0.5, 1, 0.74, 0.8)]
    rows.append(row(0.5, 0, 0.75, 0.8, strategy="budget", criterion="reconstruction"))
    rows.append(row(0.5, 0, 0.1, 0.8, teacher="outputs"))
    rows.append(row(0.5, 0, 0.1, 0.8, epochs=1))
    rows.append(row(0.5, 0, 0.1, 0.8, criterion="bn_scale"))
    _, control, half, budget = main_table(rows)
    assert control[0] == "0 (control)" and control[8:] == ["0.800", "", "", "1"]
    assert half == [
        "0.5", "l1_norm", "1000 (0.50)", "5.00", "20.0", "15.0 (0.75)", "0.100", "0.600",
        "0.720 (0.700 to 0.740)", "0.800", "-0.080", "2",
    ]  # fmt: skip
    assert (budget[1], budget[8]) == ("reconstruction, budget", "0.750")


def test_a_trial_says_how_to_prune():
    config = Trial(0.5, criterion="bn_scale").config()
    assert (config["strategy"], config["criterion"]) == ("UniformPruneStrategy", "bn_scale")
    assert Trial(0.0).config() == {}
