"""The arguments of a recurrent stack, options that a class of the user's own declares, and whether values fit them.

No heavy module is imported here: a configuration checks its own fields by the same rule.
"""

import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints

Cell = Literal["lstm", "rnn"]
Options = Mapping[str, bool | int | float | str]


class BackboneArguments(TypedDict):
    """The arguments of every model that decide its recurrent stack: its class, and what the class is called with.

    Those that are not required are what RegularizedLSTM has besides the paper's dropout, under the same names. At their
    defaults a class is not called with them, so that it need not know them.
    """

    hidden_size: int
    """Units of each layer."""
    layers: int
    """Recurrent layers."""
    dropout: float
    """Probability of dropping a unit of a non-recurrent connection."""
    recurrent_dropout: float
    """Probability of dropping a unit of h[l, t-1], for ablation rows only."""
    cell: Cell
    """LSTM or plain recurrent cell."""
    backbone: str
    """Class path of the recurrent stack, whose constructor is called as that of RegularizedLSTM."""
    dropout_mask: NotRequired[Literal["step", "window"]]
    input_dropout: NotRequired[float | None]
    output_dropout: NotRequired[float | None]
    update_dropout: NotRequired[float]
    zoneout_cell: NotRequired[float]
    zoneout_hidden: NotRequired[float]
    weight_drop: NotRequired[float]
    layer_norm: NotRequired[bool]
    output_size: NotRequired[int | None]
    backbone_options: NotRequired[Options]
    """Options that the class declares besides."""


NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
"""Words for the types that are checked."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type; a whole number is a number too. A type that is not in NAMES fits everything.

    Whole numbers that no floating-point number can stand for fit nothing: fingerprints and the training need one.
    """
    if get_origin(hint) in (Union, types.UnionType):
        return any(fits(value, part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint not in NAMES:
        return True
    if is_huge(value):
        return False
    return isinstance(value, (int, float) if hint is float else hint) and (hint is bool or not isinstance(value, bool))


def is_huge(value: Any) -> bool:
    """Whether a value is a whole number beyond the largest floating-point number."""
    return isinstance(value, int) and abs(value) > sys.float_info.max


def shown(value: Any) -> str:
    """A value in a message; Python does not write out the largest whole numbers."""
    return f"a whole number of more than {sys.float_info.max_10_exp} digits" if is_huge(value) else repr(value)


def expected(hint: Any) -> str:
    """The words for a type in a message."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(expected(part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return NAMES.get(hint, str(hint))


def declared(kind: type) -> dict[str, inspect.Parameter]:
    """The named parameters of a class's constructor, and of those above it that its **keywords are passed on to.

    A parameter without annotation has the type of its default.
    """
    found: dict[str, inspect.Parameter] = {}
    for ancestor in kind.__mro__:
        if "__init__" not in vars(ancestor) or ancestor is object:
            continue
        constructor: Any = vars(ancestor)["__init__"]
        try:
            hints = get_type_hints(constructor)
        except NameError:  # of names that only a type checker imports
            hints = {}
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        for one in parameters:
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                of_default = Any if one.default in (None, one.empty) else type(one.default)
                found.setdefault(one.name, one.replace(annotation=hints.get(one.name, of_default)))
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            break
    return found


def own_options(kind: type, options: Options) -> dict[str, Any]:
    """The options of a backbone that differ from what its class declares as their defaults, whole numbers as numbers.

    Raises:
        ValueError: the class declares no such option, or one of another type.
    """
    reserved = BackboneArguments.__annotations__.keys() | {"input_size"}
    own = {name: one for name, one in declared(kind).items() if name not in reserved}
    differing = {}
    for name, value in options.items():
        if name in reserved:
            raise ValueError(f"backbone_options: {name} is an argument of every backbone, not an option of its own")
        if name not in own:
            there = f"it declares {', '.join(own)}" if own else "it declares none"
            raise ValueError(f"backbone_options: {kind.__module__}.{kind.__qualname__} has no option {name!r}; {there}")
        if not fits(value, own[name].annotation):
            raise ValueError(f"backbone_options: {name} must be {expected(own[name].annotation)}, got {shown(value)}")
        if value != own[name].default:
            differing[name] = float(value) if own[name].annotation is float else value
    return differing
