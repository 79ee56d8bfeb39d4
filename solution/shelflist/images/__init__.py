"""Image sharing: people, the images they upload, what is seen on them, and the posts that show them."""
