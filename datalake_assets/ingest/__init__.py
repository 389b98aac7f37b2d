"""One partition's way from listed raw objects to a published, loaded version."""
