"""Errors, files, lines on the terminal and numbers as text. Imports nothing else of the package."""
