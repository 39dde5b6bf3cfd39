"""The fault campaign: what users, disks and machines do to the suite, done on purpose, for as long as one likes.

`make campaign` runs it for an hour and writes the outcome to docs/reliability.md; the test in this folder runs every
driver for a moment. Each driver is a function that yields one `Trial` after another. A trial that ends otherwise than
promised is a fault, whose input is kept and whose number repeats it.
"""
