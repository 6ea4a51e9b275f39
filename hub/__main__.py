"""Run the hub's command line as `python -m hub`."""

from hub.cli import main

main()
