"""The reports family: gold tables and job outputs in, tagged PDF/A-3u with its own lineage inside out."""
