"""A model's graphs in ONNX, checked by the final evaluation with the graphs in the place of the network."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from benchmark.sharing.evaluation import final_evaluation
from datamodules.base import TaskData
from datamodules.errors import UserError
from models.acoustic_model import AcousticModel
from models.backbone import State
from models.base import TaskModel
from models.captioner import Captioner
from models.language_model import LanguageModel
from models.softmax import true_log_probabilities
from models.tokens import TokenDecoder
from models.translator import Translator

OPSET = 17
"""Version of ONNX's operators."""

WITHOUT_OPERATION = ("layer_norm", "zoneout_cell", "zoneout_hidden")
"""Options of a recurrent stack for which ONNX has no layer, so that each time step would be a part of the graph."""

LARGEST_DIFFERENCE = 1e-3
"""Largest difference of a log-probability by a graph from the network's own; rounding gives about 1e-5."""

GRAPHS = DECODER, ENCODER, FRAMES = "decoder.onnx", "encoder.onnx", "frames.onnx"
"""Names of graphs in an exported folder."""


def flat(state: State) -> list[Tensor]:
    """The tensors of a state, layer by layer: h and c of an LSTM, h of a plain cell."""
    return [tensor for layer in state for tensor in (layer if isinstance(layer, tuple) else (layer,))]


def nested(tensors: Sequence[Tensor], is_lstm: bool) -> State:
    """The state that `flat` has made flat."""
    return tuple(zip(tensors[::2], tensors[1::2], strict=True)) if is_lstm else tuple(tensors)


class Decoder(nn.Module):
    """Logits and new state after tokens: a TokenDecoder whose state is single tensors."""

    def __init__(self, decoder: TokenDecoder, is_lstm: bool) -> None:
        super().__init__()
        self.decoder, self.is_lstm = decoder, is_lstm

    def forward(self, tokens: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """See TokenDecoder.forward."""
        logits, new = self.decoder(tokens, nested(state, self.is_lstm))
        return (logits, *flat(new))


class Encoder(nn.Module):
    """The state that a decoder starts from: of a source sentence, or of a picture's vector."""

    def __init__(self, model: Translator | Captioner) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """See Translator.encode and Captioner.encode."""
        return tuple(flat(self.model.encode(inputs)))


class Graph:
    """A graph that is run by onnxruntime, on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Outputs for inputs, in the order of the graph."""
        names = [given.name for given in self.session.get_inputs()]
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return [torch.from_numpy(np.array(value)) for value in self.session.run(None, feed)]


class GraphDecoder(nn.Module):
    """Stands for a TokenDecoder, and runs its graph."""

    def __init__(self, path: Path, shapes: Sequence[torch.Size], is_lstm: bool) -> None:
        super().__init__()
        self.graph, self.shapes, self.is_lstm = Graph(path), shapes, is_lstm
        self.device_of_model = nn.Parameter(torch.zeros(()))  # a model is asked for its device by its parameters

    @override
    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See TokenDecoder.forward."""
        zeros = [torch.zeros(shape[0], tokens.shape[1], shape[2]) for shape in self.shapes]
        logits, *new = self.graph(tokens, *(flat(state) if state is not None else zeros))
        return logits, nested(new, self.is_lstm)

    def score(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """See TokenDecoder.score."""
        logits, state = self(tokens, state)
        return true_log_probabilities(logits, targets), state

    step = TokenDecoder.step


def export_graphs(model: TaskModel, evaluated: TaskModel, folder: Path, kept: Path, data: TaskData) -> str:
    """Write the graphs of a model, and check them by the final evaluation.

    Args:
        model: the model, whose network is replaced by its graphs.
        evaluated: the same model after its own final evaluation, which left its log-probabilities.
        folder: folder to write to.
        kept: file of the log-probabilities that the record was written with, where there is one.
        data: data of the run, set up.

    Returns:
        A sentence that says which graphs there are and how far their log-probabilities are from the network's.

    Raises:
        UserError: the model has one of WITHOUT_OPERATION, onnx or onnxruntime is not installed, the network cannot be
            written as a graph, or the graph gives other log-probabilities than the network.
    """
    if lacking := [name for name in WITHOUT_OPERATION if model.hparams.get(name)]:
        raise UserError(f"ONNX has no recurrent layer with {' and '.join(lacking)}; export the model without --onnx")
    try:
        import onnx
        import onnxruntime  # noqa: F401  needed by Graph
    except ImportError as error:
        raise UserError(f"needs onnx and onnxruntime ({error}): pip install -e '.[onnx]'") from error
    del onnx
    try:
        names = _write_and_replace(model, folder)
        final_evaluation(model, data, "cpu")
    except UserError:
        raise
    except Exception as error:  # exporter and runtime raise errors of many kinds
        _remove(folder)
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the network cannot be written as an ONNX graph ({type(error).__name__}: {reason})") from error
    largest = max(
        float((model.log_probabilities[split] - own).abs().max()) for split, own in evaluated.log_probabilities.items()
    )
    if not largest <= LARGEST_DIFFERENCE:
        _remove(folder)
        raise UserError(f"the ONNX graph gives log-probabilities that differ by {largest:.2g}; it is not kept")
    sentence = f"{' and '.join(names)}, whose log-probabilities differ by at most {largest:.1e} from the network's"
    if kept.is_file():
        with np.load(kept) as arrays:
            beyond = max(
                float(np.abs(model.log_probabilities[split].numpy() - arrays[split].astype(np.float64)).max())
                for split in arrays.files
            )
        sentence += f" and by at most {beyond:.1e} from those in the record, which are in half precision"
    return sentence


def _remove(folder: Path) -> None:
    for path in folder.glob("*.onnx"):
        path.unlink()


def _write_and_replace(model: TaskModel, folder: Path) -> list[str]:
    """Write the graphs of a model, and put them in the place of its network; returns their names."""
    shadowed: Any = model
    if isinstance(model, AcousticModel):
        features = torch.zeros(model.output_delay + 3, 2, int(model.hparams["features"]))
        _write(model, (features,), ["features"], ["logits"], folder / FRAMES)
        frames = Graph(folder / FRAMES)
        shadowed.forward = lambda features: frames(features)[0]
        return [FRAMES]
    assert isinstance(model, LanguageModel | Translator | Captioner)
    is_lstm = model.hparams["cell"] == "lstm"
    tokens = torch.zeros(3, 2, dtype=torch.long)
    with torch.no_grad():
        state = flat(model.decoder(tokens)[1])
    names = [f"{name}{layer}" for layer in range(model.hparams["layers"]) for name in ("hc" if is_lstm else "h")]
    outputs = ["logits", *(f"new_{name}" for name in names)]
    _write(Decoder(model.decoder, is_lstm), (tokens, *state), ["tokens", *names], outputs, folder / DECODER)
    written = [DECODER]
    if not isinstance(model, LanguageModel):
        given = tokens if isinstance(model, Translator) else torch.zeros(2, int(model.hparams["feature_size"]))
        name = "source" if isinstance(model, Translator) else "vector"
        _write(Encoder(model), (given,), [name], names, folder / ENCODER)
        encoder = Graph(folder / ENCODER)
        shadowed.encode = lambda inputs: nested(encoder(inputs), is_lstm)
        written.append(ENCODER)
    shadowed.decoder = GraphDecoder(folder / DECODER, [tensor.shape for tensor in state], is_lstm)
    return written


def _write(module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], path: Path) -> None:
    """Write a module as a graph; time and batch may have any length, in a vector's case the batch alone."""
    axes = {}
    for name in [*names, *outputs]:
        if name == "vector":
            axes[name] = {0: "batch"}
        elif name in ("tokens", "source", "features", "logits"):
            axes[name] = {0: "time" if name != "logits" else "time_out", 1: "batch"}
        else:
            axes[name] = {1: "batch"}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of what the check below decides
        torch.onnx.export(
            module.eval(),
            inputs,
            str(path),
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
