"""Text tables: files, data sets, cleaning, splits, leaks."""
