"""Where results go: lines, files, brokers."""
