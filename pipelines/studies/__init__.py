"""Studies: many trainings of one task on the same data, and one page about them."""
