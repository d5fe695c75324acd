"""Trends: what is watched and read now, from several sources behind one interface.

A source reads what was captured before (a file, a lake table, the stored answer of a live service), so that the same
bytes always give the same trends. `file`, `gold` and `hacker_news` hold the three sources.
"""
