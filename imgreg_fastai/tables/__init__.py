"""Tables as people have them, and folders in place of a table: every way to open them and to find their pictures.

What their numbers mean, and which rows can be used, is asked in labels.py.
"""
from .places import from_folder, located, present, resolved
from .reading import SUFFIXES, image_column, read

__all__ = ["SUFFIXES", "from_folder", "image_column", "located", "present", "read", "resolved"]
