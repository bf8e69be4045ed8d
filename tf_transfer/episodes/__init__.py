"""Small tasks for meta-learning: drawn from labels, kept apart, frozen to files, as tensors."""
