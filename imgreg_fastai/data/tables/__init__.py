"""Tables as people have them, and folders in place of a table: how they are read and where their images lie."""
from .cells import check_names
from .exports import check_folder
from .files import SUFFIXES, TABLE, is_table_name, table_stem
from .find_images import absent_hint, with_paths
from .frames import FrameTable, Table, as_table
from .headers import existing_column
from .image_names import holds_image_names, image_column, read_image_table
from .label_studio import check_named_targets
from .list_cells import complete_specs, find_list_columns
from .numbers import is_missing_word
from .paths import columns_in_pattern, files_exist, real_paths, resolve_table, table_of_folder
from .reading import read_table, report_numbers, with_numbers
from .row_forms import ROWS_AS_THEY_ARE, RowOptions, arrange, first_rows, refuse_differences
from .text_tables import read_csv
