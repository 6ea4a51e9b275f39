"""The door of the node: mappings, readers, row rules, pseudonyms, registers, quality."""
