"""Cards: a system image with a release on its boot partition, for a device's first boot."""
