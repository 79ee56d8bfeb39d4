"""The contract: the running service keeps to the OpenAPI document, and the document to its own rules."""
