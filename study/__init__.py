"""What pruning costs, measured: `make results` and `make baseline`."""

from ssd_model import runtime

runtime.prepare()
