"""What the server imports that new processes are forked from; nothing else imports this module.

The server outlives signals to all processes of a terminal or a job, since it has to tell how the others ended. It ends
when they have. Ctrl-C is ignored while it imports; afterward its own loop ignores it, and the processes decide for
themselves.
"""

import signal

for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
of_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)

import benchmark.training.train  # noqa: E402, F401 - and with it what every run needs
import models.translator  # noqa: E402, F401 - for one task only, but it takes a second, the others a tenth

signal.signal(signal.SIGINT, of_interrupt)
