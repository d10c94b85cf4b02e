"""The memory lab: how far back each recurrent cell can learn to remember."""
