"""The load engine: fetch, stage, check, merge, record."""
