"""What the fields of a video may hold, whichever way they come in; the OpenAPI document says the same."""

import re

CONTENT_ID = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]{0,127}")
"""No dot at the start: `..` in an address is not an id but the folder above."""

MAX_LABEL_LENGTH = 200
"""Characters of a label, or of the name of a show."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""The characters that no label may hold."""
