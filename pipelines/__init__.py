"""The shared layer of the toolkit: everything two tasks have in common."""
