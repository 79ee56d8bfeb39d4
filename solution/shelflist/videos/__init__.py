"""Videos: harvested, labelled or both, and what their labels and vectors say."""
