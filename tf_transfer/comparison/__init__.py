"""Running an experiment, and its results: one object with a method a question."""
