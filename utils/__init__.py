"""What the notebooks share. Importing it first sets Paddle up: see `utils.runtime`."""

from utils import hints, runtime

runtime.prepare()
hints.explain_missing_names()
