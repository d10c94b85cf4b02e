"""Evaluation: metrics, intervals, baselines and the report."""
