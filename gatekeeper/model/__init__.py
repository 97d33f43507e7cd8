"""The nouns: what the site, its people, its badges and its messages are. Pure values, no behaviour of a service."""
