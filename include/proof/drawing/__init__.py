"""Graphs as pictures: layered layout and SVG, for the panel's pages and for files."""
