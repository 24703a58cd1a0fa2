"""What the notebooks share. Importing it first sets Paddle up: see `utils.runtime`."""

from utils import runtime

runtime.prepare()
