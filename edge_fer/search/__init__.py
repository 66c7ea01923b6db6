"""Search: the cells of EmoNAS, found by gradient, with what a device takes for each operation."""
