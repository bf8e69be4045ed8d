"""TensorFlow and Keras, which devices run the steps, workers that agree or are lost."""
