"""``python -m include.marquez.server``: run the embedded lineage server with the deployment's settings."""

from include.marquez.server.serving import serve_from_settings

if __name__ == "__main__":
    serve_from_settings()
