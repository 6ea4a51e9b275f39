"""Run the node's command line as `python -m node`."""

from node.cli import main

main()
