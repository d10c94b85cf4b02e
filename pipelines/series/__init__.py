"""Forecasting: from regular series to a model that takes and returns their own units."""
