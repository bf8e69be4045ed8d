"""Pinned encoders and data sets."""
