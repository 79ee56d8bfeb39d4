"""The sources of a harvest: what asks each of them, and reads its answers."""
