"""From encoded bytes to the canvas, in the graph."""
