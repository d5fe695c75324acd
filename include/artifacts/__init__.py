"""The content-addressed store: digests, the publish protocol, validation of what is published."""
