"""``python -m edge_fer`` is ``edge-fer``; torchrun starts it so."""

from edge_fer.cli import main

main()
