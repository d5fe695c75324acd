"""The line of an artifact or of a whole job as a file that others can read: CSV, SVG, JSON, RO-Crate, in-toto."""
