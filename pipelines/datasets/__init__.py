"""Data: sources, readers, splits and checks. Nothing here imports TensorFlow."""
