"""Where Programs run: a GPU where this Paddle has one, else the CPU; `PLACE=cpu` means the CPU."""

import os

import paddle

Place = paddle.CPUPlace | paddle.CUDAPlace


def cpu_wanted() -> bool:
    """Whether the environment says `PLACE=cpu`.

    Raises:
        ValueError: it says something else.
    """
    said = os.environ.get("PLACE", "")
    if said not in ("", "cpu"):
        raise ValueError(
            f"PLACE is {said!r}: set it to cpu, or leave it out to use a GPU where Paddle has one"
        )
    return said == "cpu"


def default_place() -> Place:
    """The device of everything that is run here.

    Of several GPUs the first, or what FLAGS_selected_gpus says, as Paddle's launcher does.

    Raises:
        ValueError: `PLACE` in the environment is no place.
    """
    if cpu_wanted() or not paddle.device.cuda.device_count():
        return paddle.CPUPlace()
    return paddle.static.cuda_places()[0]


def on_cpu() -> bool:
    """Whether Programs run on the CPU."""
    return isinstance(default_place(), paddle.CPUPlace)
