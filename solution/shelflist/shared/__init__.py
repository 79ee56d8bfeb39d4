"""Plumbing that every context may use; imports none of ours."""
