"""How sure we are: intervals, paired differences, power and tests. No TensorFlow."""
