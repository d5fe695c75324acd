"""SQL files of the lineage database, applied in the order of their names."""
