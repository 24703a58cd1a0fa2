"""The two schedules that this project trains with; both step after every batch."""

import paddle

ORIGINAL_CONV_RATE = 0.1
"""The original's learning rate of all filters but the heads', as a multiple of the optimizer's."""


def one_cycle(peak_rate: float, steps: int) -> paddle.optimizer.Optimizer:
    """Make an AdamW whose rate rises to `peak_rate` and falls to almost 0 over `steps` batches.

    This gives good results in few epochs (Smith and Topin, arXiv 1708.07120).
    """
    rate = paddle.optimizer.lr.OneCycleLR(peak_rate, max(steps, 4), end_learning_rate=1e-6)
    return paddle.optimizer.AdamW(
        rate, weight_decay=0.02, apply_decay_param_fun=lambda name: "conv2d" in name
    )


def original(images: int, batch_size: int) -> paddle.optimizer.Optimizer:
    """Make the original's RMSProp for VOC, whose rate falls after 40, 60, 80 and 100 epochs.

    As there, an epoch counts one step for each full batch. Use it with a network built with
    `conv_rate=ORIGINAL_CONV_RATE`.
    """
    steps_per_epoch = max(1, images // batch_size)
    rate = paddle.optimizer.lr.PiecewiseDecay(
        [epoch * steps_per_epoch for epoch in (40, 60, 80, 100)],
        [1e-3 * decay for decay in (1, 0.5, 0.25, 0.1, 0.01)],
    )
    return paddle.optimizer.RMSProp(rate, weight_decay=paddle.regularizer.L2Decay(5e-5))
