"""From noised vectors of several operators to national estimates with honest intervals."""
