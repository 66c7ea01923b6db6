"""Teaching a network to find faces, and judging any detector."""
