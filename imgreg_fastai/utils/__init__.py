"""Errors, files, console messages and numbers as text. Imports nothing else of the package."""
