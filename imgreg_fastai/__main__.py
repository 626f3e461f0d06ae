"""`python -m imgreg_fastai` is the command line."""
from .cli import main

main()
