"""Running for weeks: signals and systemd, health, logs."""
