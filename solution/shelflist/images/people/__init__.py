"""People: sign-up, tokens, profiles, and who follows whom."""
