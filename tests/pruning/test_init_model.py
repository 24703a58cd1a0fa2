"""Weights to start from: those of a pruned network set the shapes, as in the original."""

import numpy as np
import paddle
import pytest

from pruning.artifacts import Run, find_run, load_network, save_network
from pruning.cut import apply_plan, reshape_programs
from pruning.dependencies import analyse, optimizer_state
from pruning.history import History
from pruning.init_model import check_unpruned, load_init_model, plan_of_shapes, plan_of_weights
from pruning.plan import Plan, PlanError, uniform_plan
from ssd_model.programs import build_detector, new_scope
from ssd_model.scope import read_tensor
from ssd_model.weights import WeightsError, read_tensors, save_weights, shapes_of, write_tensors
from tests.helpers.other_mobilenets import MobileNet, dynamic
from tests.helpers.small_run import SIZE, Interrupted, Setup, make_batch, weights
from utils.paths import BASELINE

PATTERN = r"conv2d_[1-9]\.w_0|conv2d_1[0-2]\.w_0"


@pytest.fixture(scope="module")
def networks():
    """Train and eval network, with an optimizer that remembers."""
    train = build_detector(3, True, paddle.optimizer.Momentum(1e-3, 0.9), SIZE)
    return train, build_detector(3, False, image_size=SIZE)


@pytest.fixture(scope="module")
def dependencies(networks):
    return analyse(networks[1].program)


@pytest.fixture(scope="module")
def pruned(networks, dependencies, tmp_path_factory):
    """The file of a network that was pruned twice, and what is left of its parameters."""
    _, evaluation = networks
    scope, program = new_scope(evaluation), evaluation.program
    for ratio in (0.25, 0.3):
        plan = uniform_plan(analyse(program), PATTERN, ratio)
        (program,) = apply_plan(plan, [program], scope)
    path = tmp_path_factory.mktemp("pruned") / "pruned.safetensors"
    save_weights(program, path, scope)
    return path, {name: read_tensor(scope, name) for name in shapes_of(program)}


def programs_for(path, programs):
    return reshape_programs(plan_of_weights(path, analyse(programs[-1])), programs)


def test_the_unpruned_network_stays_as_it_is(networks, dependencies, tmp_path):
    _, evaluation = networks
    save_weights(evaluation.program, tmp_path / "whole.safetensors", new_scope(evaluation))
    assert plan_of_weights(tmp_path / "whole.safetensors", dependencies).ratios == {}
    assert plan_of_shapes(dependencies, dependencies.shapes).ratios == {}
    assert plan_of_shapes(dependencies, {}).ratios == {}


def test_a_pruned_network_sets_the_shapes(networks, dependencies, pruned):
    train, evaluation = networks
    path, arrays = pruned
    plan = plan_of_shapes(dependencies, {name: array.shape for name, array in arrays.items()})
    assert plan.shapes == {name: array.shape for name, array in arrays.items()}
    programs = programs_for(path, [train.program, evaluation.program])
    assert shapes_of(evaluation.program) == dependencies.shapes, "the given ones are not changed"
    scope = new_scope(evaluation, train)
    report = load_init_model(path, programs, scope)
    assert len(report.loaded) == 199 and not report.fresh
    for name, array in arrays.items():
        np.testing.assert_array_equal(read_tensor(scope, name), array, err_msg=name)
    velocities = list(optimizer_state(programs[0]))
    assert len(velocities) > 100
    for name, parameter in velocities:
        assert read_tensor(scope, name).shape == arrays[parameter].shape
    # It trains, evaluates, and can be pruned once more.
    executor = paddle.static.Executor(paddle.CPUPlace())
    for _ in range(2):
        (loss,) = executor.run(programs[0], make_batch(0), [train.loss.name], scope=scope)
    assert np.isfinite(loss)
    again = uniform_plan(analyse(programs[1]), PATTERN, 0.5)
    trained, evaluated = apply_plan(again, programs, scope)
    executor.run(trained, make_batch(1), [train.loss.name], scope=scope)
    (value,) = executor.run(evaluated, make_batch(1), [evaluation.map.name], scope=scope)
    assert 0 <= value <= 1


def test_a_pruned_network_of_other_classes(networks, pruned):
    path, arrays = pruned
    other = build_detector(7, False, image_size=SIZE)
    programs = programs_for(path, [other.program])
    scope = new_scope(other)
    report = load_init_model(path, programs, scope)
    scores = {f"conv2d_{i}.{end}" for i in range(23, 34, 2) for end in ("w_0", "b_0")}
    assert set(report.fresh) == scores
    # The heads start fresh, with inputs for as many channels as there are.
    head = read_tensor(scope, "conv2d_23.w_0")
    assert head.shape == (21, arrays["conv2d_11.w_0"].shape[0], 1, 1) and head.std() > 0


def test_a_narrow_classifier(networks, tmp_path):
    train, evaluation = networks
    path = tmp_path / "MobileNetV1_x0_5.pdparams"
    with dynamic():
        paddle.save(MobileNet(scale=0.5).state_dict(), str(path))  # noqa: TID251
    programs, scope = programs_for(path, [train.program, evaluation.program]), new_scope(evaluation)
    report = load_init_model(path, programs, scope)
    assert len(report.loaded) == 135
    shapes = shapes_of(programs[1])
    assert shapes["conv2d_0.w_0"] == (16, 3, 3, 3) and shapes["conv2d_13.w_0"] == (512, 512, 1, 1)
    assert shapes["conv2d_14.w_0"] == (256, 512, 1, 1), "an extra layer, which the file lacks"
    assert {name: read_tensor(scope, name).shape for name in shapes} == shapes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"conv2d_3.w_0": (100, 128, 1, 1)}, r"batch_norm_6\.w_0 has shape \[128\]"),
        (
            {"depthwise_conv2d_3.w_0": (100, 1, 3, 3)},
            r"depthwise_conv2d_3\.w_0 has .*\[100, 1, 3, 3",
        ),
        (
            {"conv2d_4.w_0": (256, 100, 1, 1)},
            r"conv2d_4\.w_0 has shape .* leaves \[256, 128, 1, 1\]",
        ),
        ({"conv2d_4.w_0": (300, 128, 1, 1)}, r"conv2d_4\.w_0 has shape \[300, 128, 1, 1\]"),
        ({"conv2d_24.w_0": (24, 900, 1, 1)}, r"conv2d_24\.w_0 has shape"),
        ({"conv2d_4.w_0": (256, 128)}, r"conv2d_4\.w_0 has shape \[256, 128\]"),
        ({"conv2d_4.w_0": (0, 128, 1, 1)}, r"would leave conv2d_4\.w_0 none"),
    ],
)
def test_shapes_that_no_cut_leaves(dependencies, changes, words):
    with pytest.raises(PlanError, match=words):
        plan_of_shapes(dependencies, dependencies.shapes | changes)


def test_classes_and_kernels_are_no_cut(dependencies):
    changed = {"conv2d_23.w_0": (63, 512, 1, 1), "conv2d_22.w_0": (12, 512, 3, 3)}
    plan = plan_of_shapes(dependencies, dependencies.shapes | changed)
    assert plan.shapes == Plan(dependencies, {}).shapes


def test_weights_of_something_else_change_nothing(networks, tmp_path):
    train, evaluation = networks
    path = tmp_path / "other.pdparams"
    with dynamic():
        paddle.save({"fc.weight": paddle.ones([3, 4])}, str(path))  # noqa: TID251
    programs, scope = [train.program, evaluation.program], new_scope(evaluation, train)
    before = read_tensor(scope, "conv2d_0.w_0")
    with pytest.raises(WeightsError, match=r"fc\.weight"):
        load_init_model(path, programs, scope)
    np.testing.assert_array_equal(read_tensor(scope, "conv2d_0.w_0"), before)


def test_what_an_unpruned_network_can_start_from(networks, pruned, tmp_path):
    program, scope = networks[1].program, new_scope(networks[1])
    with pytest.raises(WeightsError, match=r"pruned network: 12 filters .* as conv2d_1\.w_0"):
        check_unpruned(pruned[0], program, scope)
    check_unpruned(BASELINE, program, scope)
    with pytest.raises(WeightsError, match="no such weights file"):
        check_unpruned(tmp_path / "nowhere", program, scope)
    # The backbone alone is enough. Some names and shapes of another network fit by chance.
    arrays, _ = read_tensors(BASELINE)
    backbone = [name for name in arrays if int(name.split("_")[-2].split(".")[0]) < 14]
    write_tensors(tmp_path / "some.safetensors", {name: arrays[name] for name in backbone})
    check_unpruned(tmp_path / "some.safetensors", program, scope)
    arrays = {"conv2d_0.w_0": np.ones((64, 3, 3, 3)), "batch_norm_0.w_0": np.ones(32)}
    write_tensors(tmp_path / "other.safetensors", arrays)
    with pytest.raises(WeightsError, match=r"another network, .* of 47 filters here it has 0"):
        check_unpruned(tmp_path / "other.safetensors", program, scope)


@pytest.fixture
def started(config, pruned):
    """Writes a config that starts from the pruned network and prunes it once more."""

    def write(**settings):
        path = config(epoch=2, **settings)
        path.write_text(f"{path.read_text()}    init_model: '{pruned[0]}'\n")
        return path

    return write


def test_a_compressor_prunes_a_pruned_network_once_more(started, dependencies, pruned, tmp_path):
    path = started(start=1)
    setup, before = Setup(), weights(Setup())
    setup.compressor.config(path)
    planned, start = setup.compressor.plan, setup.compressor.eval_graph.program
    after = weights(setup)
    assert all(np.array_equal(before[name], after[name]) for name in before), "not before run()"
    assert shapes_of(start) == {name: array.shape for name, array in pruned[1].items()}
    history = setup.compressor.run()
    stages = [(row["stage"], row["epoch"]) for row in history.rows]
    assert stages == [("baseline", 0), ("finetuned", 1), ("pruned", 1), ("finetuned", 2)]
    # What was cut before is the first of two cuts; the target is of what it had left.
    assert len(history.ratios) == 2 and history.ratios[1] == planned.ratios
    assert history.flops_before == Plan(dependencies, {}).flops
    assert planned.flops == pytest.approx(0.8 * planned.unpruned.flops, rel=0.02)
    assert history.flops_after == planned.flops < 0.8 * history.flops_before
    assert {name: array.shape for name, array in weights(setup).items()} == planned.shapes
    # What it leaves in a file is found again from the unpruned network.
    run = Run(history, 0.2, PATTERN)
    file = tmp_path / "twice.safetensors"
    save_network(file, setup.compressor.eval_graph.program, setup.scope, run, "key")
    scope = new_scope(setup.eval)
    program = load_network(file, setup.eval.program, scope, find_run(file, "key"))
    assert shapes_of(program) == planned.shapes


def test_a_control_is_saved_and_found_again(tmp_path):
    setup, file = Setup(), tmp_path / "control.safetensors"
    plan = Plan(analyse(setup.eval.program), {})
    history = History([], [], plan.flops, plan.flops, plan.parameters, plan.parameters)
    save_network(file, setup.eval.program, setup.scope, Run(history), "key")
    scope, found = new_scope(setup.eval), find_run(file, "key")
    assert found == Run(history) and find_run(file, "another") is None
    assert load_network(file, setup.eval.program, scope, found) is setup.eval.program
    name = "conv2d_1.w_0"
    np.testing.assert_array_equal(read_tensor(scope, name), read_tensor(setup.scope, name))


def test_a_run_from_a_pruned_network_resumes(started):
    whole = Setup()
    whole.compressor.config(started(start=1))
    expected = whole.compressor.run()
    path = started(start=1, checkpoints="checkpoints")
    broken = Setup(train_reader=Interrupted(4))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    with pytest.raises(ValueError, match="resumes from its last checkpoint"):
        broken.compressor.run()
    resumed = Setup()
    resumed.compressor.config(path)
    history = resumed.compressor.run()
    assert history.ratios == expected.ratios and history.flops_after == expected.flops_after
    assert resumed.compressor.plan.ratios == history.ratios[1]
    assert history.value("map_by_class", "finetuned")[1:] == pytest.approx(
        expected.value("map_by_class", "finetuned")[1:]
    )
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


def test_a_compressor_starts_from_what_fits(config, tmp_path):
    path = config(epoch=0)
    arrays = {"conv2d_0.w_0": np.ones((32, 3, 3, 3)), "fc.weight": np.ones((3, 4))}
    write_tensors(tmp_path / "some.safetensors", arrays)
    write_tensors(tmp_path / "none.safetensors", {"fc.weight": np.ones((3, 4))})
    text = path.read_text()
    for name in ("some", "none", "nowhere"):
        path.write_text(f"{text}    init_model: '{tmp_path / name}.safetensors'\n")
        setup = Setup()
        if name == "some":
            setup.compressor.config(path)
            setup.compressor.run()
            assert (read_tensor(setup.scope, "conv2d_0.w_0") == 1).all()
            continue
        with pytest.raises(WeightsError, match=r"fc\.weight|no such weights file"):
            setup.compressor.config(path)
            setup.compressor.run()
