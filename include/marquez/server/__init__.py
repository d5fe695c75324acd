"""The embedded lineage server: Marquez's HTTP API on one PostgreSQL database.

A program of its own that happens to live here: of the project it imports only `include.errors` and `include.settings`.
"""

VERSION = "1.0.0"
"""Version of the embedded server; `throughline status` shows it as ``embedded 1.0.0``."""

IDENTITY_HEADER = "x-lineage-server"
"""Response header that names the server; a real Marquez has no such header."""
