"""A model's graph, drawn: nodes, layout, picture."""
