"""Text: vocabulary and in-graph tokenization shared by every text task."""
