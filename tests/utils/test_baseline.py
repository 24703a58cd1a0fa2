"""A baseline of one's own data: its schedule, its validation split, and the epoch that is kept."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from ssd_model.weights import WeightsError, read_tensors
from tests.helpers.voc_folder import add_image, object_xml, write_set
from utils import baseline
from utils.baseline import plan_cycles, train_baseline, warn_if_weak
from utils.profiles import BASELINE_IMAGES, BASELINE_MINUTES, PROFILES, Options
from utils.workspace import Workspace

SECONDS = {160: 0.02, 224: 0.03, 300: 0.05}


def work(images: int, profile: str = "standard", validated: int = 0, seed: int = 0, **options):
    splits = {
        name: SimpleNamespace(records=[None] * count)
        for name, count in (("training", images), ("validation", validated), ("test", 40))
    }
    return SimpleNamespace(
        **splits, profile=PROFILES[profile], options=Options(**options), seed=seed
    )


def test_a_small_set_is_passed_over_more_often():
    small, minutes, _ = plan_cycles(work(200, validated=50), SECONDS)
    large, *_ = plan_cycles(work(800, validated=200), SECONDS)
    assert [(c.image_size, c.epochs) for c in small] == [(160, 82), (224, 90), (300, 62)]
    assert [c.epochs for c in large] == [21, 22, 16]
    assert [c.closing for c in small] == [False, False, True]
    # 200 images, in the end 250, and a third of the time for each of the 50 of validation, in the
    # end of the 40 to test on
    seconds = (82 * 0.02 + 90 * 0.03) * (200 + 50 / 3) + 62 * (250 + 40 / 3) * 0.05
    assert minutes == pytest.approx(seconds / 60)


def test_a_baseline_sees_as_many_images_as_the_options_reckon_with():
    assert sum(shape.images_seen for shape in baseline.SHAPES) == BASELINE_IMAGES
    cycles, *_ = plan_cycles(work(250), SECONDS)
    usual = sum(cycle.epochs for cycle in cycles)
    assert Options(epochs=usual).length(250) == pytest.approx(1)
    assert Options(epochs=usual // 2).length(250) == pytest.approx(0.5)
    assert Options(minutes=2 * BASELINE_MINUTES).length(250) == 2
    assert Options().length(250) == 1


def test_no_training_sees_the_views_of_another():
    """Views depend on the seed, the epoch and the image; fine-tuning has the run's own seed."""
    seeds = [c.seed for seed in (0, 1) for c in plan_cycles(work(250, seed=seed), SECONDS)[0]]
    assert len({0, 1, *seeds}) == 8
    assert seeds[:3] == [c.seed for c in plan_cycles(work(800), SECONDS)[0]]


def test_minutes_and_epochs_shorten_and_lengthen():
    _, _, usual = plan_cycles(work(250), SECONDS)
    for minutes in (usual / 4, usual * 2):
        _, planned, _ = plan_cycles(work(250, minutes=minutes), SECONDS)
        assert planned == pytest.approx(minutes, rel=0.05)
    for epochs in range(10, 60):
        cycles, *_ = plan_cycles(work(250, epochs=epochs, learning_rate=1e-4), SECONDS)
        assert sum(c.epochs for c in cycles) == epochs
    assert {c.peak_rate for c in cycles} == {1e-4}
    cycles, *_ = plan_cycles(work(250, epochs=1), SECONDS)
    assert all(c.epochs == 1 for c in cycles)


def test_on_a_slow_machine_all_cycles_are_shortened_alike():
    slow = {size: 4 * seconds for size, seconds in SECONDS.items()}
    whole, *_ = plan_cycles(work(250), SECONDS)
    cycles, minutes, usual = plan_cycles(work(250), slow)
    assert usual > 1.5 * BASELINE_MINUTES and minutes == pytest.approx(BASELINE_MINUTES, rel=0.02)
    shares = [short.epochs / long.epochs for short, long in zip(cycles, whole, strict=True)]
    assert shares == pytest.approx([BASELINE_MINUTES / usual] * 3, abs=0.03)
    for profile, options in (("standard", {"epochs": 150}), ("full", {})):
        asked, minutes, usual = plan_cycles(work(250, profile, **options), slow)
        assert minutes == usual > BASELINE_MINUTES
        assert [c.epochs for c in asked] == [
            c.epochs for c in plan_cycles(work(250, profile, **options), SECONDS)[0]
        ]


def test_fine_tuning_scales_along(cats):
    """Six images to train on."""

    def epochs(profile="standard", **options):
        return Workspace(str(cats.output), str(cats.data_dir), profile, options=options).epochs

    assert (epochs(), epochs(minutes=BASELINE_MINUTES / 10), epochs("smoke")) == (1000, 100, 1)
    assert epochs(epochs=BASELINE_IMAGES // 6 // 2) == pytest.approx(500, abs=1)
    assert epochs(minutes=0.001) == 1


def test_full_is_one_cycle_of_the_originals_length():
    (cycle,), *_ = plan_cycles(work(5000, "full"), SECONDS)
    assert (cycle.image_size, cycle.epochs) == (300, 120)


@pytest.mark.parametrize(
    "options",
    [
        *({"minutes": 0}, {"minutes": np.inf}, {"minutes": "5"}, {"learning_rate": np.nan}),
        *({"epochs": -1}, {"epochs": 2.5}, {"batch_size": "8"}, {"minutes": 1e308}),
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is .* number above 0"):
        Options(**options)


def test_flip_is_true_or_false():
    with pytest.raises(ValueError, match="flip is 'no': it must be True or False"):
        Options(flip="no")


def test_either_minutes_or_epochs():
    with pytest.raises(ValueError, match="minutes and epochs both say how long"):
        Options(minutes=5, epochs=2)


@pytest.fixture
def cats(tmp_path):
    names = [f"{i:02}" for i in range(8)]
    for i, name in enumerate(names):
        add_image(tmp_path / "voc", name, object_xml("cat", 10 + i, 5, 60 + i, 45))
    write_set(tmp_path / "voc", "trainval", names[:6])
    write_set(tmp_path / "voc", "test", names[6:])
    return Workspace(str(tmp_path / "out"), str(tmp_path / "voc"), "smoke")


@pytest.mark.parametrize(
    ("profile", "words"), [("smoke", "use PROFILE=standard"), ("standard", "6 images for 1 class")]
)
def test_a_weak_baseline_is_called_weak(cats, capsys, profile, words):
    work = Workspace(str(cats.output), str(cats.data_dir), profile)
    warn_if_weak(0.72, work)
    assert capsys.readouterr().out == ""
    warn_if_weak(0.308, work)
    told = capsys.readouterr().out
    assert "mAP 0.31" in told and words in told.replace("\n", " ")


def test_validation_is_neither_trained_nor_tested_on(cats):
    sets = [
        {record.image.name for record in split.records}
        for split in (cats.training, cats.validation, cats.test)
    ]
    assert [len(names) for names in sets] == [5, 1, 2]
    assert len(set.union(*sets)) == 8


def test_the_folders_own_val_list_is_the_validation_split(cats):
    folder = cats.data_dir
    write_set(folder, "val", ["01", "04"])
    again = Workspace(str(cats.output), str(folder), "smoke")
    assert [record.image.stem for record in again.validation.records] == ["01", "04"]
    assert [record.image.stem for record in again.training.records] == ["00", "02", "03", "05"]


@pytest.mark.parametrize(("epochs", "first"), [(1, 1), (2, 2), (3, 3), (6, 5), (79, 54)])
def test_only_the_last_third_of_a_cycle_has_the_best_epoch(cats, monkeypatch, epochs, first):
    chosen = []

    def train(*_, best_from, **__):
        chosen.append(best_from)
        raise InterruptedError

    monkeypatch.setattr(baseline, "train", train)
    cycle = baseline.Cycle("160px-1", 160, epochs, 1e-3, seed=0)
    with pytest.raises(InterruptedError):
        baseline._train(cats, cycle, cats.output / "cycle", cats.pretrained)
    assert chosen == [first]


def test_a_baseline_is_saved_and_resumed(cats, monkeypatch, capsys):
    train_baseline(cats)
    told = capsys.readouterr().out
    assert "training a baseline on 5 images" in told and "MINUTES=" in told
    assert told.index("best after epoch 1 of 1") < told.index("closing cycle: on all images")
    arrays, metadata = read_tensors(cats.baseline)
    assert json.loads(metadata["classes"]) == ["cat"]
    assert arrays["conv2d_0.w_0"].shape == (32, 3, 3, 3)
    # Again, as after a kill at the very end: nothing is measured or trained anew.
    cats.baseline.unlink()
    monkeypatch.setattr(baseline, "seconds_an_image", None)
    train_baseline(cats)
    again, _ = read_tensors(cats.baseline)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert "this run is complete" in capsys.readouterr().out


@pytest.mark.parametrize(("slower", "told"), [(1, r" min here\."), (4, " 40 min here instead of ")])
def test_each_cycle_goes_on_from_the_one_before(cats, monkeypatch, capsys, slower, told):
    """With views of its own, whatever the validation mAP of smaller images was."""
    cats.profile, ran = PROFILES["standard"], []
    monkeypatch.setattr(baseline, "seconds_an_image", lambda work, size: slower * SECONDS[size])
    monkeypatch.setattr(baseline, "save_weights", lambda _, path, *__: path.write_bytes(b"saved"))
    monkeypatch.setattr(baseline, "empty_scope", lambda scope: None)

    def ran_with(seed, start, folder):
        ran.append((seed, start))
        folder.mkdir(parents=True, exist_ok=True)
        return SimpleNamespace(scope=None, evaluation=SimpleNamespace(program=None))

    folder = cats.checkpoints
    monkeypatch.setattr(
        baseline, "_train", lambda _, cycle, path, start: ran_with(cycle.seed, start, path)
    )
    monkeypatch.setattr(
        baseline,
        "fine_tune",
        lambda _, name, epochs, start, rate, seed: ran_with(seed, start, folder / name),
    )
    train_baseline(cats)
    assert re.search(told, capsys.readouterr().out.replace("\n", " "))
    cycles, *_ = plan_cycles(cats, SECONDS)
    assert [seed for seed, _ in ran] == [cycle.seed for cycle in cycles]
    files = [folder / "baseline" / f"{cycle.name}.safetensors" for cycle in cycles]
    assert [start for _, start in ran] == [cats.pretrained, *files[:-1]]


@pytest.mark.parametrize(("profile", "nearer"), [("standard", {160, 224}), ("full", set())])
def test_only_small_images_are_seen_from_nearer_by(cats, monkeypatch, profile, nearer):
    work, views = Workspace(str(cats.output), str(cats.data_dir), profile), {}

    def begin(*_, augmentation, image_size=300, **__):
        views[image_size] = augmentation
        raise KeyboardInterrupt

    monkeypatch.setattr(baseline, "train", begin)
    monkeypatch.setattr("utils.training.train", begin)
    for cycle in plan_cycles(work, SECONDS)[0]:
        monkeypatch.setattr(baseline, "_cycles", lambda *_, cycle=cycle: [cycle])
        with pytest.raises(KeyboardInterrupt):
            train_baseline(work)
    assert views.pop(300) == work.augmentation
    assert set(views) == nearer and all(v == work.nearer_views for v in views.values())


def test_weights_that_no_baseline_can_start_from_are_refused_first(tmp_path):
    (tmp_path / "weights.pdparams").write_bytes(b"\x80\x02cos\nsystem\n.")
    for name, words in (("weights.pdparams", "it names os.system"), ("nowhere", "no such weights")):
        with pytest.raises(WeightsError, match=words):
            Workspace(str(tmp_path / "out"), options={"pretrained": str(tmp_path / name)})
