"""Measurements of speed and accuracy. They assert nothing."""
