"""Metrics as formulas of row weights. Nothing here knows of tasks."""
