"""Tables as people have them, and folders in place of a table: how they are read and where their images lie."""
from .image_names import image_column, read_image_table
from .paths import columns_in_pattern, files_exist, real_paths, resolve_table, table_of_folder, with_paths
from .reading import SUFFIXES, read_csv, read_table
