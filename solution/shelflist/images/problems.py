"""Problem types of image sharing."""

from shelflist.shared.problems import Conflict, Problem, ServiceUnavailable, Unprocessable, UnsupportedMediaType


class UnsupportedImage(UnsupportedMediaType):
    """The content is no JPEG, PNG, WebP or GIF, whatever its name or media type says."""

    slug, title = "unsupported-image", "Not a kind of image that is accepted"
    advice = "Send a JPEG, PNG, WebP or GIF; convert other formats first."


class ImageTooLarge(Unprocessable):
    """The image has too many pixels, frames or bytes of metadata to be unfolded."""

    slug, title = "image-too-large", "Image too large"
    advice = "Send it with fewer pixels or frames; `detail` names the limit, and so does /limits."


class BrokenImage(Unprocessable):
    """The image is cut off or damaged: not all of its pixels can be read."""

    slug, title = "broken-image", "Broken image"
    advice = "Open and save it with a program that shows it, and send it again whole."


class ImageMissing(ServiceUnavailable):
    """The image is known, but the store does not hold its bytes at the moment."""

    slug, title = "image-missing", "Image missing in the store"
    advice = "Try again after Retry-After; if it stays, the operator finds the cause with `shelflist images verify`."

    def __init__(self) -> None:
        super().__init__("the store does not hold this image at the moment", retry_after=60)


class InsufficientStorage(Problem):
    """There is no space left for another image."""

    status, slug, title = 507, "storage-full", "No space left"
    advice = "Try again later; the operator has to make space in the image store."

    def __init__(self) -> None:
        super().__init__("there is no space left for this image")


class NotYours(Problem):
    """It is somebody else's: everybody may see it, and its owner alone may change it."""

    status, slug, title = 403, "not-yours", "Not yours to change"
    advice = "Log in as its owner; GET /users/me tells who you are."


class ImagePosted(Conflict):
    """A post shows the image, so it cannot be removed."""

    slug, title = "image-posted", "A post shows the image"
    advice = "Remove the posts that show it first: DELETE /posts/{post_id}."


class ImageUrlRefused(Unprocessable):
    """The address leads to where nothing is fetched from, itself or by a redirect."""

    slug, title = "image-url-refused", "Address refused"
    advice = (
        "Name an http or https address on the public Internet without a user or a password, or send the file itself."
    )


class ImageUrlFailed(Unprocessable):
    """Nothing could be fetched from the address."""

    slug, title = "image-url-failed", "Nothing fetched"
    advice = "Open the address in a browser; if the picture is there, try again, or send the file itself."


class RangeNotSatisfiable(Problem):
    """The range that was asked for begins behind the end of the file."""

    status, slug, title = 416, "range-not-satisfiable", "No such range"
    advice = "Ask for a range within the bytes that Content-Range names, or without Range for all of them."

    def __init__(self, length: int) -> None:
        super().__init__(f"there are {length} bytes", headers={"Content-Range": f"bytes */{length}"})
