"""Background jobs over the API."""
