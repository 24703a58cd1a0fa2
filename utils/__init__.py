"""What the notebooks share. Importing it first sets Paddle up: see `ssd_model.runtime`."""

from ssd_model import runtime
from utils import missing_names

runtime.prepare()
missing_names.explain_missing_names()
