"""Draw a model's graph: nodes, layout and picture."""
