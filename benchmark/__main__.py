"""`python -m benchmark` is `rnnreg`."""

import sys

from benchmark.training.endings import Interrupted, open_streams, signals_raised


def main() -> int:
    """Import the command line and call it; a signal in between is one line too."""
    open_streams()
    try:
        with signals_raised():
            from benchmark import cli

            return cli.main()
    except (Interrupted, KeyboardInterrupt) as stop:
        print("rnnreg: error: interrupted", file=sys.stderr)
        return Interrupted.of(stop).exit_code


if __name__ == "__main__":
    raise SystemExit(main())
