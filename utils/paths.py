"""Where things lie. What is generated goes under build/."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
RESULTS = ROOT / "results"
BASELINE = ROOT / "ssd_model" / "pretrained" / "signs.safetensors"
"""The shipped baseline: parameters trained on the road-sign scenes, float16."""


def relative(path: Path) -> str:
    """A path as seen from the project, if it lies inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
