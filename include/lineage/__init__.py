"""From facts to OpenLineage: names, facets, scrub, the event table and its relay."""
