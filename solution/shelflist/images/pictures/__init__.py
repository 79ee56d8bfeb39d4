"""What becomes of the bytes of a picture: checked, stripped of all but its pixels, and made in three sizes."""
