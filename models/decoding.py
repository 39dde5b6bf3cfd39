"""Getting text out of a trained model."""

from collections.abc import Collection, Sequence

import torch

from models.language_model import LanguageModel


@torch.no_grad()
def sample(
    model: LanguageModel,
    prompt: Sequence[int],
    count: int,
    forbidden: Collection[int] = (),
    temperature: float = 1.0,
    seed: int = 0,
) -> list[int]:
    """Continue a prompt word by word, each drawn from the model's distribution (paper figure 4).

    Args:
        model: trained language model.
        prompt: ids of the words to continue; at least one.
        count: how many words to draw.
        forbidden: ids that are never drawn; the paper forbids `<unk>`, N and $.
        temperature: divides the logits; below 1 the likely words become likelier.
        seed: of the draws.

    Returns:
        Ids of the drawn words, [count].
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    tokens, state, drawn = torch.tensor(prompt, device=model.device)[:, None], None, []
    for _ in range(count):
        logits, state = model(tokens, state)
        logits = logits[-1, 0].float().cpu() / temperature
        logits[list(forbidden)] = -torch.inf
        word = int(torch.multinomial(logits.softmax(dim=0), 1, generator=generator))
        drawn.append(word)
        tokens = torch.tensor([[word]], device=model.device)
    return drawn
