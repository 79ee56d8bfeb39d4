"""Errors for the person who starts the service."""


class Notice(Exception):
    """Something that the person who started the process can mend: its text is one line that says what.

    It is printed, and the process exits with 1; no traceback is needed.
    """
