"""Which numbers: predictions, metric suites on splits and on episodes."""
