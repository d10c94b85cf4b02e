"""Gradients kept in sight: measured in the optimizer, read every epoch, judged in words."""
