"""What the scenes show: colours, type, and pictures that move, drawn frame by frame from the plan's own figures."""
