"""`python -m lab.workers`: one worker, for whoever speaks to its standard input."""

import os
import sys

from lab.workers.worker import main

code = main()
sys.stdout.flush()
os._exit(code)  # threads that never return keep no worker from ending
