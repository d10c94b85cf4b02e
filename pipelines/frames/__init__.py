"""Labelling every frame of a sensor stream: settings, model, serving."""
