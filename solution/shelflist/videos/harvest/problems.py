"""Problem types of feeds."""

from shelflist.shared.problems import Conflict, Unprocessable


class FeedExists(Conflict):
    """Another feed asks the same: the queries differ in case, accents or spaces at most."""

    slug, title = "feed-exists", "Feed exists"
    advice = "Change that feed by PATCH /feeds/{feed_id}; `detail` names its id."

    def __init__(self, feed_id: str) -> None:
        super().__init__(f"the feed {feed_id} has this query")


class TooManyFeeds(Unprocessable):
    """There are as many feeds as there may be."""

    slug, title = "too-many-feeds", "Too many feeds"
    advice = "Remove one by DELETE /feeds/{feed_id}, or change one by PATCH."

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} feeds, the most that there may be")
