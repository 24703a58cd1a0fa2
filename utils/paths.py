"""Where things lie. What is generated goes under build/."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
BASELINE = ROOT / "ssd_model" / "pretrained" / "signs.safetensors"
"""The shipped baseline: parameters trained on the road-sign scenes, float16."""
