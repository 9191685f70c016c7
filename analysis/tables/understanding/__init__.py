"""What the columns of other people's tables mean: their names, the numbers in them, units, and states of runs."""
