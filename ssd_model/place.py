"""Where Programs run: on a GPU if Paddle has one, else on the CPU; `PLACE=cpu` forces the CPU."""

import os

import paddle

Place = paddle.CPUPlace | paddle.CUDAPlace


def cpu_wanted() -> bool:
    """Whether the environment sets `PLACE=cpu`.

    Raises:
        ValueError: `PLACE` has another value.
    """
    said = os.environ.get("PLACE", "")
    if said not in ("", "cpu"):
        raise ValueError(
            f"PLACE is {said!r}: set it to cpu, or leave it out to use a GPU where Paddle has one"
        )
    return said == "cpu"


def default_place() -> Place:
    """Get the device that everything here runs on.

    Of several GPUs it is the first, or the one that Paddle's launcher sets in FLAGS_selected_gpus.

    Raises:
        ValueError: `PLACE` in the environment is not a place.
    """
    if cpu_wanted() or not paddle.device.cuda.device_count():
        return paddle.CPUPlace()
    return paddle.static.cuda_places()[0]


def on_cpu() -> bool:
    """Whether Programs run on the CPU."""
    return isinstance(default_place(), paddle.CPUPlace)
