"""What the server imports that new processes are forked from; nothing else imports this module.

The server outlives signals to all processes of a terminal or a job, since it has to tell how the others ended. It ends
when they have.
"""

import signal

import benchmark.training.train  # noqa: F401 - and with it all that a run needs

for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
