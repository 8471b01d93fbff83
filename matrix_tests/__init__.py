"""The suite: one file a phase, its rows in the order of the matrix."""
