"""The command line's larger parts: one module a group of commands, each importing only what it needs."""
