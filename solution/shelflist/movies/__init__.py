"""Movies: IMDb's files and users' own rows, listed, filtered, sorted and searched."""
