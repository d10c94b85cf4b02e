"""Keras layers shared by the tasks."""
