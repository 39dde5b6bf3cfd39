"""The arguments of a recurrent stack travel as one group, and checkpoints hold them one by one."""

from pathlib import Path

import pytest
import torch
from torch import nn

from models.acoustic_model import AcousticModel
from models.backbone import BackboneArguments, build_backbone
from models.base import TaskModel
from models.captioner import Captioner
from models.language_model import LanguageModel
from models.translator import Translator

STACK: BackboneArguments = {
    "hidden_size": 4,
    "layers": 2,
    "dropout": 0.25,
    "recurrent_dropout": 0.125,
    "cell": "rnn",
    "backbone": "models.backbone.RegularizedLSTM",
}
TRAINING = {"init_range": 0.5, "lr": 0.5, "flat_epochs": 1, "decay": 2.0}
SEARCH = {"beam": 2, "length_normalization": 0.0}
WORDS = ["<eos>", "<unk>", "a"]

OWN = {
    LanguageModel: {"vocabulary": WORDS},
    AcousticModel: {"features": 3, "states": ["a", "b"], "output_delay": 1},
    Translator: {
        "source_vocabulary": WORDS,
        "target_vocabulary": WORDS,
        "languages": ("en", "fr"),
        "batch_size": 2,
        "decay_every": 0.5,
        **SEARCH,
    },
    Captioner: {
        "vocabulary": WORDS,
        "network": "descriptor",
        "network_sha256": "0" * 64,
        "feature_size": 3,
        "max_length": 5,
        **SEARCH,
    },
}
"""Each task's model, and the arguments that only it takes."""


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_a_checkpoint_holds_every_argument_by_its_name_and_loads(kind: type[TaskModel], tmp_path: Path) -> None:
    arguments = {**OWN[kind], **TRAINING, **STACK}
    model = kind(**arguments)
    hparams = dict(model.hparams)
    assert hparams == {**hparams, **arguments}
    path = tmp_path / "last.ckpt"
    content = {"state_dict": model.state_dict(), "hyper_parameters": arguments, "pytorch-lightning_version": "2.6.0"}
    torch.save(content, path)
    loaded = kind.load_from_checkpoint(path, weights_only=True)
    assert dict(loaded.hparams) == hparams
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_an_argument_that_no_stack_has_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no option layer_nrom; those of a class are backbone_options"):
        build_backbone(3, **{**STACK, "layer_nrom": True})


class OwnBackbone(nn.Module):
    """A user's class, which keeps what it is called with."""

    def __init__(self, **called_with: object) -> None:
        super().__init__()
        self.called_with = called_with


def test_a_users_backbone_is_called_with_the_arguments_that_the_readme_names() -> None:
    backbone = build_backbone(3, **{**STACK, "backbone": f"{__name__}.OwnBackbone"})
    assert backbone.called_with == {
        "input_size": 3,
        "hidden_size": 4,
        "layers": 2,
        "dropout": 0.25,
        "recurrent_dropout": 0.125,
        "cell": "rnn",
    }
