"""Problem types of songs."""

from shelflist.shared.problems import ServiceUnavailable, Unprocessable


class NoModel(ServiceUnavailable):
    """No model is active that could tell genres."""

    slug, title = "no-model", "No model"
    advice = "Ask the operator to activate one with `shelflist songs`, or try again after Retry-After."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=60)


class TooManyRows(Unprocessable):
    """The file has more rows than one upload may have."""

    slug, title = "too-many-rows", "Too many rows"
    advice = "Send the file in parts; `detail` names the limit."
