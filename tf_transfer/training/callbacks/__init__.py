"""Keras callbacks of this toolkit, and how they and the user's are arranged in a run."""
