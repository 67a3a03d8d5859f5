"""A causal language model over bytes (or any tokens): pre-norm Transformer blocks, learned positions, dropout.

The arrangement is GPT-2's (Radford et al., "Language models are unsupervised multitask learners", 2019), and so are the
initial weights: normal with a deviation of 0.02, that of a projection into the residual stream divided by the root of the
number of such projections; biases zero.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

#: Ways to compute attention: the same numbers up to rounding, the same dropout masks in the same order.
ATTENTIONS = ("fused", "plain")


class Attention(nn.Module):
    """Causal self-attention with several heads: (batch, length, width) to the same shape."""

    def __init__(self, width: int, heads: int, dropout: float, attention: str) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention = attention
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix each position with those before it."""
        # Each (batch, length, width), then (batch, heads, length, width of a head).
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        dropout = self.dropout if self.training else 0.0
        if self.attention == "fused":
            mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        else:
            scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]))
            length = x.shape[1]
            seen = torch.ones(length, length, dtype=torch.bool).tril()
            weights = functional.softmax(scores.masked_fill(~seen, -math.inf), dim=-1)
            mixed = functional.dropout(weights, dropout, self.training) @ value
        projected: torch.Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """Attention and a two-layer network, each on the normalised input and added to it."""

    def __init__(
        self, width: int, heads: int, feed_forward: int, dropout: float, approximate: str, attention: str
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout, attention)
        self.drop1 = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, feed_forward)
        self.gelu = nn.GELU(approximate)
        self.down = nn.Linear(feed_forward, width)
        self.drop2 = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, length, width) to the same shape."""
        x = x + self.drop1(self.attention(self.norm1(x)))
        x = x + self.drop2(self.down(self.gelu(self.up(self.norm2(x)))))
        return x


class Transformer(nn.Module):
    """Token numbers (batch, length) int64 to scores of the next token (batch, length, vocabulary)."""

    def __init__(
        self,
        vocabulary: int,
        sequence: int,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        tied: bool,
        approximate: str,
        attention: str,
    ) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(sequence, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, feed_forward, dropout, approximate, attention) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self._initialise(layers)
        if tied:
            self.head.weight = self.token.weight

    def _initialise(self, layers: int) -> None:
        deviation = 0.02
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                into_residual = name.endswith(("attention.projection", "down"))
                nn.init.normal_(module.weight, std=deviation / math.sqrt(2 * layers) if into_residual else deviation)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the scores, before a softmax, of what follows each position."""
        places = torch.arange(tokens.shape[1])
        x = self.drop(self.token(tokens) + self.position(places))
        for block in self.blocks:
            x = block(x)
        scores: torch.Tensor = self.head(self.norm(x))
        return scores


def build(
    vocabulary: int = 256,
    sequence: int = 64,
    width: int = 256,
    layers: int = 4,
    heads: int = 8,
    feed_forward: int = 1024,
    dropout: float = 0.1,
    tied: bool = True,
    approximate: str = "none",
    attention: str = "fused",
) -> nn.Module:
    """Return the model: (batch, length) int64 to (batch, length, vocabulary); 3,241,472 parameters as it comes.

    ``sequence`` is the longest length, ``tied`` makes the head's weight the token embedding's, ``approximate`` is
    nn.GELU's ("none" or "tanh"), ``attention`` is "fused" (torch's scaled_dot_product_attention, which chooses its kernel
    itself) or "plain" (its formula in single operations).
    """
    if width % heads != 0:
        raise ValueError(f"width {width} does not divide into {heads} heads")
    if attention not in ATTENTIONS:
        raise ValueError(f"attention {attention!r} is none of {', '.join(ATTENTIONS)}")
    return Transformer(
        vocabulary, sequence, width, layers, heads, feed_forward, dropout, tied, approximate, attention
    )
