"""python -m imgreg_fastai.cli"""
from . import main

main()
