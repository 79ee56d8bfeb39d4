"""Problem types of videos."""

from shelflist.shared.problems import Conflict, Unprocessable


class TooManyLabels(Unprocessable):
    """The videos have more different labels than one answer, or one picture, can hold."""

    slug, title = "too-many-labels", "Too many labels"
    advice = "Narrow the filters; `detail` names the limit."


class TooManyGroups(Unprocessable):
    """There are more groups to compare than one answer can hold."""

    slug, title = "too-many-groups", "Too many groups"
    advice = "Name the shows to compare with `tvshow_any`."

    def __init__(self, groups: int, limit: int) -> None:
        super().__init__(f"there are {groups} groups, more than {limit}")


class NotEnoughVideos(Unprocessable):
    """Too few videos with labels and a vector, or all of one class: there is nothing to learn from them."""

    slug, title = "not-enough-videos", "Not enough videos"
    advice = "Widen the filters, or add videos with labels and vectors."

    def __init__(self, rows: int, classes: int, needed: int) -> None:
        super().__init__(
            f"{rows} videos have both labels and a vector, in {classes} classes; at least {needed} in 2 are needed"
        )


class BatchRejected(Unprocessable):
    """Rows of the file are rejected, and it was to be stored as a whole or not at all."""

    slug, title = "batch-rejected", "Rows rejected"
    advice = "Correct the rows that `errors` names, or send the file with mode=partial."


class VideoExists(Conflict):
    """A video with this content_id is in the catalogue already, labelled or not."""

    slug, title = "video-exists", "Video exists"
    advice = "Change it by PATCH /videos/{content_id}, or read it there."


class NoDirection(Unprocessable):
    """The video has no feature vector, or one of zeros alone: nothing can be similar to it."""

    slug, title = "no-direction", "No vector to compare"
    advice = "Attach a feature_vector by PATCH /videos/{content_id}."
