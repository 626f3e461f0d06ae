"""Tables as people have them, and folders in place of a table: how they are read and where their images lie."""
from .find_images import absent_hint, with_paths
from .frames import FrameTable, Table, as_table
from .image_names import holds_image_names, image_column, read_image_table
from .list_cells import complete_specs, find_list_columns
from .paths import columns_in_pattern, files_exist, real_paths, resolve_table, table_of_folder
from .reading import SUFFIXES, read_csv, read_table
from .row_forms import ROWS_AS_THEY_ARE, RowOptions, arrange
