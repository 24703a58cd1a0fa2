"""Which parts of our Programs Paddle's new intermediate representation (PIR) builds and runs.

This lists, and never fails: the project stands on the old one, which will go one day. See "When the
old Programs go" in docs/contributing.md.
"""

import os

os.environ["FLAGS_enable_pir_api"] = "1"  # before Paddle is imported
os.environ.setdefault("GLOG_minloglevel", "2")

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.simplefilter("ignore")

import paddle

from ssd_model.detection_map import detection_label, detection_map
from ssd_model.detection_output import decode_boxes, detection_output
from ssd_model.distillation import distillation_loss
from ssd_model.network import mobilenet_ssd
from ssd_model.place import default_place
from ssd_model.ssd_loss import ssd_loss

RNG = np.random.default_rng(0)
CLASSES, PRIORS, SIDE = 4, 12, 96
PRIOR_BOX = RNG.uniform(0, 1, (PRIORS, 4)).astype("float32")
VARIANCE = np.full((PRIORS, 4), 0.1, "float32")
FEED = {
    "image": RNG.normal(size=(2, 3, SIDE, SIDE)).astype("float32"),
    "location": RNG.normal(size=(2, PRIORS, 4)).astype("float32"),
    "confidence": RNG.normal(size=(2, PRIORS, CLASSES)).astype("float32"),
    "gt_box": np.array([[[0.1, 0.1, 0.5, 0.6]]] * 2, "float32"),
    "gt_label": np.ones((2, 1), "int32"),
    "gt_difficult": np.zeros((2, 1), "int32"),
}


def detections(data: dict):
    priors = paddle.assign(PRIOR_BOX), paddle.assign(VARIANCE)
    return detection_output(data["location"], data["confidence"], *priors)


def metric(data: dict):
    truth = (data[name] for name in ("gt_label", "gt_box", "gt_difficult"))
    return detection_map(detections(data), detection_label(*truth), CLASSES)


def loss(data: dict):
    truth = (data[name] for name in ("location", "confidence", "gt_box", "gt_label"))
    return ssd_loss(*truth, paddle.assign(PRIOR_BOX), paddle.assign(VARIANCE))


def taught(data: dict):
    answers = data["location"], data["confidence"]
    return distillation_loss(*answers, *answers)


PARTS: dict[str, Callable] = {
    "the network (mobilenet_ssd)": lambda data: mobilenet_ssd(data["image"], CLASSES)[0],
    "detections (detection_output)": detections,
    "boxes in plain arithmetic (decode_boxes)": lambda data: decode_boxes(
        data["location"], PRIOR_BOX, VARIANCE
    ),
    "mAP (detection_map)": metric,
    "the loss (ssd_loss)": loss,
    "the teacher's loss (distillation_loss)": taught,
}


def attempt(part: Callable) -> str:
    """What goes wrong when a part is built and run; empty if nothing does."""
    main, startup = paddle.static.Program(), paddle.static.Program()
    try:
        with paddle.static.program_guard(main, startup):
            data = {
                name: paddle.static.data(name, [None, *array.shape[1:]], str(array.dtype))
                for name, array in FEED.items()
            }
            out = part(data)
            executor = paddle.static.Executor(default_place())
            executor.run(startup)
            executor.run(main, feed=FEED, fetch_list=[out])
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    return ""


def main() -> None:
    paddle.enable_static()
    print(f"Paddle {paddle.__version__} with FLAGS_enable_pir_api=1:")
    for name, part in PARTS.items():
        fault = attempt(part)
        print(f"  {'fails' if fault else 'works'}  {name}{': ' * bool(fault)}{fault}")


if __name__ == "__main__":
    main()
