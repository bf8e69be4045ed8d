"""The Keras model: one shared encoder, a head a task, the step, files."""
