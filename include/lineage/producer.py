"""Who says so: the producer that every facet and event of ours names, and the source of our tags."""

PRODUCER = "https://throughline.example/throughline/0.1.0"
TAG_SOURCE = "THROUGHLINE"
