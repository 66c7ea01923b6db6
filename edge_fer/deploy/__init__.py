"""Releases, and how they get onto devices over ssh."""
