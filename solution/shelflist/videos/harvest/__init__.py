"""The harvest: feeds are polled for new videos, within each key's quota, without gaps and without duplicates."""
