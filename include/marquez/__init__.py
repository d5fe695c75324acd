"""The Marquez API: a client of it (`client`) and the embedded lineage server that speaks it (`server`)."""
