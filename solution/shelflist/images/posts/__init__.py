"""Posts: what people show, their likes, and links to share."""
