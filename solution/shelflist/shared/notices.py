"""Errors for the person at the command line."""


class Notice(Exception):
    """Something that the person who started a command can mend: its text is one line that says what.

    The command line prints it and exits with 1; no traceback is needed. Each room derives its own.
    """
