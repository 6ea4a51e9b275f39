"""Run the demo from the shell: python -m deploy.demo."""

import os
import signal

# While the libraries load there is nothing to clean up, and nobody wants to see where Ctrl-C met them.
signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from deploy.demo import interrupt
from deploy.demo.cli import main
from quorate.contract import shell

interrupt.listen()
shell.run(main, "python -m deploy.demo")
