"""The D-layer: an operator's own tables, mapped to the common event and cell schema."""
