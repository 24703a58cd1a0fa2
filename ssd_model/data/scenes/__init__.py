"""The tutorial's own data set: street scenes with road signs, drawn by code.

`writer` writes the VOC folder; `compose` makes a scene from what the other modules draw.
"""

from ssd_model.data.scenes.signs import CLASSES
from ssd_model.data.scenes.writer import draw_scene, write_scenes

__all__ = ["CLASSES", "draw_scene", "write_scenes"]
