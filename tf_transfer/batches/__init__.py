"""Tables as tensors: what `fit` takes, batches of rows of one length."""
