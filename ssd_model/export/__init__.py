"""Export networks to other formats. Importing it sets Paddle up: see `ssd_model.runtime`."""

from ssd_model import runtime

runtime.prepare()
