"""Drawn images with exact labels: bars for the task angle, people for the task headpose."""
