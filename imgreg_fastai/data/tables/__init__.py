"""Tables as people have them, and folders in place of a table: every way to open them and to find their pictures.

What their numbers mean, and which rows can be used, is asked in labels.py.
"""
from .naming import image_column
from .paths import columns_in_pattern, files_exist, real_paths, table_of_folder, with_paths
from .reading import SUFFIXES, read_table

__all__ = ["SUFFIXES", "columns_in_pattern", "files_exist", "image_column", "read_table", "real_paths",
           "table_of_folder", "with_paths"]
