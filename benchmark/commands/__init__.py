"""The commands of `rnnreg`, one file a family; see arguments.py for how a command is written."""

from collections.abc import Callable

from benchmark.commands import (
    benchmark,
    certify,
    check,
    clean,
    compare,
    dashboard,
    data,
    evaluate,
    export,
    gallery,
    generate,
    power,
    reproduce,
    results,
    surface,
    tune,
    verify,
)

COMMANDS: dict[str, Callable[..., int]] = {
    "list": reproduce.list_rows,
    "run": reproduce.run,
    "reproduce": reproduce.reproduce,
    "tune": tune.tune,
    "surface": surface.surface,
    "table": results.table,
    "report": results.report,
    "claims": results.claims,
    "power": power.power,
    "check": check.check,
    "baseline": check.baseline,
    "benchmark": benchmark.benchmark,
    "verify": verify.verify,
    "compare": compare.compare,
    "certify": certify.certify,
    "dashboard": dashboard.dashboard,
    "collect": results.collect,
    "sample": generate.sample,
    "translate": generate.translate,
    "caption": generate.caption,
    "gallery": gallery.gallery,
    "evaluate": evaluate.evaluate,
    "export": export.export,
    "data": data.data,
    "clean": clean.clean,
}
"""Every command by the name that a user gives, in the order of `rnnreg --help`."""
