"""A stand-in for the YouTube Data API and for Invidious, with made-up videos and scripted faults."""
