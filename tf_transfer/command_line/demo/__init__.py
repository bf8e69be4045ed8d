"""The experiment that `tf-transfer demo` runs."""
