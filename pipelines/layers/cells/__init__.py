"""The cells of a recurrent stack beyond those of Keras, and the one place that chooses a cell."""
