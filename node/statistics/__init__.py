"""The S-layer: one file per statistic, each an expression over presence with declared bounds."""
