"""What a server has when nothing else is said; apart, so that the command line knows it without loading a server."""

KEYS = ("demo-key-1", "demo-key-2")
INSTANCES = ("alpha", "relative")
DAILY_CALLS = 100
HISTORY_HOURS = 6
VIDEOS_PER_HOUR = 60.0
MAX_VIDEOS_PER_HOUR = 60_000
LATE_SHARE = 0.1
LATE_SECONDS = 600
