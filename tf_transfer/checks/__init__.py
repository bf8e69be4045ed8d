"""What may be given as a list, a number, an object of Keras; what things may be called."""
