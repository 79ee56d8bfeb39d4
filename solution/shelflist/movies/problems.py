"""Problem types of movies."""

from shelflist.shared.problems import Conflict, FieldError, Problem, ServiceUnavailable, Unprocessable


class ReadOnlyMovie(Problem):
    """The movie comes from IMDb's files: the next load would undo any change."""

    status, slug, title = 403, "read-only-movie", "Movie cannot be changed"
    advice = "Only movies that users added (source: user) can be changed or deleted."


class MovieExists(Conflict):
    """A movie with this IMDb id is in the catalogue already."""

    slug, title = "movie-exists", "Movie exists"
    advice = "Read the existing movie at GET /movies/{imdb_id}."


class InvalidImdbLink(Unprocessable):
    """The link does not lead to a title at IMDb."""

    slug, title = "invalid-imdb-link", "Not a link to IMDb"
    advice = "Send a link such as https://www.imdb.com/title/tt0111161/."

    def __init__(self) -> None:
        detail = "imdb_link must lead to https://www.imdb.com/title/tt…/"
        super().__init__(detail, errors=[FieldError("imdb_link", "wrong-form", detail)])


class LoadFailed(ServiceUnavailable):
    """A load of IMDb's files failed; what was served before is served still."""

    slug, title = "load-failed", "Load failed"
    advice = "GET /datasets says why; the next load may do better."


class LoadRefused(Unprocessable):
    """IMDb's files differ too much from what may replace the data; what was served before is served still."""

    slug, title = "load-refused", "Load refused"
    advice = "GET /datasets says why; the operator can force a load with `shelflist load imdb --force`."


class UnknownVersion(Unprocessable):
    """Nothing that this installation has served was of this version."""

    slug, title = "unknown-version", "Unknown version"
    advice = "Read all of GET /movies anew, and follow what changes from the X-Dataset-Version of that answer."

    def __init__(self, version: str) -> None:
        detail = f"no load that was served here has the load_id {version}"
        super().__init__(detail, errors=[FieldError("since", "unknown", detail)])
