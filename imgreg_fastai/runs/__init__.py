"""Run folders, cross-validations, and the list of runs."""
from .folds import Folds, collect_folds
from .run_folder import (
    Run,
    claim_run,
    data_hashes,
    fingerprint,
    load_run,
    start_run,
    text_hash,
    versions,
    write_file,
)
from .run_list import COLUMNS, format_runs, list_runs

__all__ = ["COLUMNS", "Folds", "Run", "claim_run", "collect_folds", "data_hashes", "fingerprint",
           "format_runs", "list_runs", "load_run", "start_run", "text_hash", "versions", "write_file"]
