"""The compiled passes of the S-layer: the same vectors as the expressions, from files in order of subscriber."""
