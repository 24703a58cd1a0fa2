"""PaddleSlim 1.x, back again. Importing it sets Paddle up: see `ssd_model.runtime`."""

from ssd_model import runtime

runtime.prepare()
