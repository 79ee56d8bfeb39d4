"""Shelflist: a media catalogue of your own behind one OpenAPI, on PostgreSQL."""

import warnings

__version__ = "0.1.0"

# Connexion imports Starlette's test client wherever it is used; nothing in the service does.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
