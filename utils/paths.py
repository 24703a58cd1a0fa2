"""The project's folders and files; everything generated goes under build/."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
RESULTS = ROOT / "results"
BASELINE = ROOT / "ssd_model" / "pretrained" / "signs.safetensors"
"""The shipped baseline: parameters trained on the road-sign scenes, in float16."""


def relative(path: Path) -> str:
    """Show a path relative to the project if it is inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
