"""Songs: their genres, as a model takes them and people correct them, and the models."""
