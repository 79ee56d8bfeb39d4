"""ASGI middleware that every answer passes, errors included."""
