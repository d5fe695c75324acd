"""``python -m include.cli``: the same as ``throughline``."""

from include.cli import main

main()
