"""Write the networks to be measured, in the files that each engine reads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle

from pruning.cut import apply_plan
from pruning.dependencies import analyse
from pruning.plan import Plan
from pruning.search import search_uniform_plan
from ssd_model.export.inference_model import save_inference_model
from ssd_model.export.onnx_model import end_in_boxes, export_onnx, prior_boxes
from ssd_model.place import default_place
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights, save_weights, write_tensors
from study.trials import PATTERN
from utils.paths import BASELINE, BUILD

CLASS_NUM = 11


@dataclass(frozen=True)
class Network:
    """A network and how it was cut."""

    target_ratio: float
    channel_multiple: int = 1
    image_size: int = 300

    @property
    def prefix(self) -> Path:
        """The prefix of its files: .pdmodel and .pdiparams, .onnx, .safetensors, .reference."""
        name = f"{self.target_ratio:g}-multiple{self.channel_multiple}-{self.image_size}"
        return BUILD / "benchmark" / name

    def plan(self, dependencies) -> Plan:
        """Find the uniform plan for `target_ratio`, with its channels rounded."""
        if not self.target_ratio:
            return Plan(dependencies, {})
        plan = search_uniform_plan(dependencies, PATTERN, self.target_ratio)
        return plan.rounded(self.channel_multiple)

    def write(self) -> int:
        """Write the files of the network, which goes from the image to boxes and scores.

        `.reference` holds two images and what the Program computes from them.

        Returns:
            The multiply-adds for one image.
        """
        detector = build_detector(CLASS_NUM, is_train=False, image_size=self.image_size)
        scope = new_scope(detector)
        load_weights(detector.program, BASELINE, scope, strict=True)
        plan = self.plan(analyse(detector.program))
        (program,) = apply_plan(plan, [detector.program], scope)
        ended, outputs = end_in_boxes(program, detector, scope)
        save_inference_model(self.prefix, ended, detector.image, outputs, scope)
        export_onnx(Path(f"{self.prefix}.onnx"), program, detector, scope)
        save_weights(program, Path(f"{self.prefix}.safetensors"), scope)
        shape = 2, *detector.image.shape[1:]
        image = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
        boxes, scores = paddle.static.Executor(default_place()).run(
            ended,
            feed={detector.image.name: image},
            fetch_list=list(outputs),
            scope=scope,
            use_prune=True,
        )
        priors, variances = prior_boxes(program, detector.image, scope)
        reference = {"image": image, "boxes": boxes, "scores": scores}
        reference |= {"priors": priors, "variances": variances}
        write_tensors(Path(f"{self.prefix}.reference"), reference)
        return plan.flops
