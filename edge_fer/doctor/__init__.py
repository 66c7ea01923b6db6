"""What a device is, what is wrong with it, and the command that helps."""
