"""Tables as people have them, and folders in place of a table: every way to open them and to find their pictures.

What their numbers mean, and which rows can be used, is asked in labels.py.
"""
from .naming import image_column
from .paths import from_folder, held_by_names, located, present, resolved
from .reading import SUFFIXES, read

__all__ = ["SUFFIXES", "from_folder", "held_by_names", "image_column", "located", "present", "read", "resolved"]
