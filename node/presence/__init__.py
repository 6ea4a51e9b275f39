"""The C-layer: which subscriber was in which zone in which hour. Personal data; never leaves the node."""
