"""Export: SavedModel with raw inputs and readable outputs, and its parity gate."""
