"""The lake: tables declared once, promoted staged -> bronze -> silver -> gold with every row accounted for."""
