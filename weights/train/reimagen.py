"""Re-Imagen in miniature: the definition of the shipped architecture, in PyTorch.

A retrieval-conditioned text-to-image U-Net (Chen, Hu, Saharia, Cohen, 2022). One down-stack encodes the noisy
picture and, at t = 0, the retrieved neighbours (each with its own caption). The neighbours' feature maps, level by
level, join the text as extra keys and values of the attention in the middle and in the up-stack.

Shapes: pictures [B, 3, S, S] in [-1, 1]; token ids [B, T], 0 where there is no token; t in [0, 1].
B samples, K neighbours, T tokens, D the text's width, C channels. Modules bear the names of the checkpoint's tensors.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

TIME_FREQUENCIES = 64
RELATIVE_BUCKETS = 32
FARTHEST_BUCKET = 128
# Of most scenes, in shares of half a picture: where a thing's middle lies (down, right), how large it is beside a neighbour's, how far both vary.
THING_MIDDLE, THING_SIZE, SPREAD = (0.07, 0.0), 0.67, 0.07

# Of a place of the feature map: down, right, as shares of a quarter of it from its middle. Two heads take opposite ones.
QUARTERS = ((-1, -1), (1, 1), (-1, 1), (1, -1))


@dataclass
class Config:
    """What `config.json` of a checkpoint holds. Tuples have one entry a level, finest first."""

    size: int = 64  # side of the picture, pixels
    patch: int = 4  # pixel-unshuffle factor of the stem
    channels: tuple = (128, 256)
    blocks: tuple = (2, 2)  # residual blocks; the same going up
    down_attention: tuple = (False, True)  # levels of the down-stack that attend to the text
    up_attention: tuple = (True, True)  # levels of the up-stack that attend to the text and the neighbours
    self_attention: tuple = (False, True)  # levels whose attention also sees the feature map itself
    head_dim: int = 64
    norm_groups: int = 16
    text_dim: int = 256
    text_layers: int = 4
    text_heads: int = 4
    text_ff: int = 512
    text_len: int = 32
    vocab: int = 4096
    time_dim: int = 512
    cond_channels: int = 0  # 3 for a super-resolution stage: the upsampled low-resolution picture
    neighbors: bool = True  # False for a stage that sees none
    # Attention that sees neighbours knows where: its queries, and the neighbours' keys and values, have positions. Not for super-resolution,
    # whose pictures may have any size.
    attention_pos: bool = False
    # Of a super-resolution stage: by how much (standard deviation, values in [-1, 1]) a picture differs from its low-resolution one,
    # upsampled. Given, the network only predicts that difference, scaled to one; 0: it predicts all.
    residual_std: float = 0.0


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * self.weight


class T5Block(nn.Module):
    """Self-attention and a gated feed-forward network, as in T5 v1.1: no biases, scores not divided by sqrt(d)."""

    def __init__(self, config):
        super().__init__()
        width, hidden = config.text_dim, config.text_ff
        self.heads = config.text_heads
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.wi_0, self.wi_1 = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.wo = nn.Linear(hidden, width, bias=False)
        # T5's initialisation stands in for the missing 1 / sqrt(d).
        nn.init.normal_(self.q.weight, std=(width * width // config.text_heads) ** -0.5)
        for linear in (self.k, self.v, self.o, self.wi_0, self.wi_1):
            nn.init.normal_(linear.weight, std=width**-0.5)
        nn.init.normal_(self.wo.weight, std=hidden**-0.5)

    def forward(self, x, bias):
        h = self.norm1(x)
        query, key, value = (split_heads(project(h), self.heads) for project in (self.q, self.k, self.v))
        scores = query @ key.transpose(-1, -2) + bias
        weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(h.dtype)
        x = x + self.o(join_heads(weights @ value))
        h = self.norm2(x)
        return x + self.wo(F.gelu(self.wi_0(h), approximate="tanh") * self.wi_1(h))


class TextEncoder(nn.Module):
    """T5 v1.1 encoder: ids [B, T] -> tokens [B, T, D], mask [B, T] (True where there is a token)."""

    def __init__(self, config):
        super().__init__()
        self.embed = nn.Embedding(config.vocab, config.text_dim)
        self.relative = nn.Embedding(RELATIVE_BUCKETS, config.text_heads)
        self.layers = nn.ModuleList(T5Block(config) for _ in range(config.text_layers))
        self.norm = RMSNorm(config.text_dim)
        nn.init.normal_(self.relative.weight, std=0.1)

    def forward(self, ids):
        mask = ids != 0
        bias = self.relative(relative_buckets(ids.shape[1]).to(ids.device)).permute(2, 0, 1)[None]
        bias = bias + (~mask)[:, None, None].float() * -1e9
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, bias)
        return self.norm(x), mask


class ResBlock(nn.Module):
    """Two convolutions with group norms, the second modulated by time and text (FiLM)."""

    def __init__(self, inputs, outputs, config):
        super().__init__()
        self.norm1 = nn.GroupNorm(config.norm_groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(config.time_dim, 2 * outputs)
        self.norm2 = nn.GroupNorm(config.norm_groups, outputs)
        self.conv2 = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x, embedding):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return (x if self.skip is None else self.skip(x)) + h


class Attention(nn.Module):
    """One softmax over self ++ context tokens (Imagen's concatenated keys and values), or over the context alone."""

    def __init__(self, channels, config, own=True, side=0):
        """`side`: of the feature map, where positions are added; else 0."""
        super().__init__()
        self.heads = channels // config.head_dim
        self.own = own
        self.norm = nn.GroupNorm(config.norm_groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels if own else channels)
        self.norm_context = nn.LayerNorm(config.text_dim)
        self.kv_context = nn.Linear(config.text_dim, 2 * channels)
        self.out = zeroed(nn.Linear(channels, channels))
        if side:
            self.qkv_pos = nn.Parameter(torch.zeros(side * side, self.qkv.out_features))
            self.kv_pos = nn.Parameter(torch.zeros(side * side, 2 * channels))

    @torch.no_grad()
    def align(self, order=0):
        """Lets each head look first where a thing's part most likely lies in a neighbour: the scores get the logarithm of a normal density.

        Where a query at p looks is (p - THING_MIDDLE) / THING_SIZE, in shares of half a picture, and -|q - a|^2 / 2 spread^2 is a product of four
        numbers of the query and four of the key: for them each head gives up four of its dimensions. Over all tokens of a neighbour the density
        has the mean 1, so that neighbours weigh beside other tokens what they weighed before. As a neighbour's token covers less of a thing than a
        place of the feature map does, heads take that place's quarters by turns, across all attentions of a level; this one is number `order`.
        """
        tokens, channels = len(self.qkv_pos), self.out.in_features
        side, wide = round(tokens**0.5), channels // self.heads
        ticks = (torch.arange(side) + 0.5) / side * 2 - 1
        at = torch.stack(torch.meshgrid(ticks, ticks, indexing="ij"), -1).flatten(0, 1)
        precision = (SPREAD + 0.5 / side) ** -2
        one = torch.ones(tokens, 1)
        key = torch.cat([at, -at.square().sum(1, keepdim=True) / 2, one], 1)
        # Scores are divided by sqrt(d) afterwards; queries and keys share the factor.
        factor = (precision * wide**0.5) ** 0.5
        for head in range(self.heads):
            quarter = torch.tensor(QUARTERS[(order * self.heads + head) % 4]) / (2 * side)
            sought = ((at + quarter - torch.tensor(THING_MIDDLE)) / THING_SIZE).clamp(-1.2, 1.2)
            density = (-0.5 * precision * (sought[:, None] - at[None]).square().sum(-1)).exp().mean(1)
            query = torch.cat([sought, one, -(sought.square().sum(1, keepdim=True) / 2 + density.log()[:, None] / precision)], 1)
            given = torch.arange(head * wide, head * wide + 4)
            for linear, starts in ((self.qkv, (0, channels) if self.own else (0,)), (self.kv_context, (0,))):
                for start in starts:
                    linear.weight[start + given] = 0
                    linear.bias[start + given] = 0
            self.qkv_pos[:, given] = query * factor
            self.kv_pos[:, given] = key * factor

    def forward(self, x, context, mask, near=0):
        """x [B, C, H, W], context [B, N, D], mask [B, N] (True = seen); the last `near` tokens are neighbours'."""
        batch, channels, height, width = x.shape
        query = self.qkv(self.norm(x).flatten(2).transpose(1, 2))
        context = self.kv_context(self.norm_context(context))
        if hasattr(self, "qkv_pos"):
            query = query + self.qkv_pos.to(query.dtype)
            if near:
                text, seen = context.split((context.shape[1] - near, near), 1)
                seen = (seen.unflatten(1, (-1, len(self.kv_pos))) + self.kv_pos.to(seen.dtype)).flatten(1, 2)
                context = torch.cat([text, seen], 1)
        keys, values = context.chunk(2, -1)
        if self.own:
            query, own_keys, own_values = query.chunk(3, -1)
            keys, values = torch.cat([own_keys, keys], 1), torch.cat([own_values, values], 1)
            mask = F.pad(mask, (height * width, 0), value=True)
        parts = (split_heads(part, self.heads).contiguous() for part in (query, keys, values))
        seen = attend(*parts, (~mask)[:, None, None].to(query.dtype) * -1e4)
        return x + self.out(join_heads(seen)).transpose(1, 2).reshape(batch, channels, height, width)


class ReImagen(nn.Module):
    """The whole model: text encoder, neighbour encoding, U-Net."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        channels, coarsest = config.channels, config.channels[-1]
        self.text = TextEncoder(config)
        self.time1 = nn.Linear(2 * TIME_FREQUENCIES, config.time_dim)
        self.time2 = nn.Linear(config.time_dim, config.time_dim)
        if config.cond_channels:
            # The level of the noise that was added to the low-resolution picture, told as the time is.
            self.level1 = zeroed(nn.Linear(2 * TIME_FREQUENCIES, config.time_dim))
        self.pool_norm, self.pool = nn.LayerNorm(config.text_dim), nn.Linear(config.text_dim, config.time_dim)
        self.stem = nn.Conv2d((3 + config.cond_channels) * config.patch**2, channels[0], 3, padding=1)

        self.down, self.down_attn, self.shrink = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(channels):
            finer = channels[level - 1]
            self.shrink.append(nn.Conv2d(finer, width, 3, stride=2, padding=1) if level else nn.Identity())
            self.down.append(nn.ModuleList(ResBlock(width, width, config) for _ in range(config.blocks[level])))
            self.down_attn.append(self._attentions(level, config.down_attention[level]))

        sides = [config.size // config.patch >> level for level in range(len(channels))]
        if config.neighbors:
            self.neighbor = nn.ModuleList(nn.Linear(width, config.text_dim) for width in channels)
            self.neighbor_pos = nn.ParameterList(torch.randn(side * side, config.text_dim) * 0.02 for side in sides)
        self.mid1, self.mid2 = ResBlock(coarsest, coarsest, config), ResBlock(coarsest, coarsest, config)
        self.mid_attn = Attention(coarsest, config, side=sides[-1] if config.attention_pos else 0)

        # Stored finest first, run coarsest first.
        self.up, self.up_attn, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(channels):
            self.up.append(nn.ModuleList(ResBlock(2 * width, width, config) for _ in range(config.blocks[level])))
            self.up_attn.append(self._attentions(level, config.up_attention[level], sides[level] if config.attention_pos else 0))
            self.grow.append(nn.Conv2d(width, channels[level - 1], 3, padding=1) if level else nn.Identity())
        self.out_norm = nn.GroupNorm(config.norm_groups, channels[0])
        self.out = zeroed(nn.Conv2d(channels[0], 3 * config.patch**2, 3, padding=1))
        self.align()

    def align(self):
        """Sets the positions of all attention that has them."""
        for attentions in ([self.mid_attn], *self.up_attn):
            for order, attention in enumerate(attentions):
                if hasattr(attention, "qkv_pos"):
                    attention.align(order)

    def _attentions(self, level, wanted, side=0):
        config = self.config
        count = config.blocks[level] if wanted else 0
        own = config.self_attention[level]
        return nn.ModuleList(Attention(config.channels[level], config, own, side) for _ in range(count))

    def embed(self, t, text, mask, level=None):
        """t [B], text [B, T, D], mask [B, T], level [B] of the low-resolution picture's noise -> embedding [B, time_dim]."""
        time = self.time1(waves(t))
        if level is not None:
            time = time + self.level1(waves(level))
        time = self.time2(F.silu(time))
        pooled = (text * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return F.silu(time + self.pool(self.pool_norm(pooled)))

    def down_stack(self, x, embedding, text, mask):
        """-> the coarsest feature map, and every block's feature map in order."""
        h, skips = self.stem(F.pixel_unshuffle(x, self.config.patch)), []
        for level, blocks in enumerate(self.down):
            h = self.shrink[level](h)
            for i, block in enumerate(blocks):
                h = block(h, embedding)
                if self.config.down_attention[level]:
                    h = self.down_attn[level][i](h, text, mask)
                skips.append(h)
        return h, skips

    def up_stack(self, h, skips, embedding, contexts):
        """`contexts`: of each level, finest first, tokens, mask and how many of them are neighbours'. -> the prediction [B, 3, S, S]."""
        h = self.mid2(self.mid_attn(self.mid1(h, embedding), *contexts[-1]), embedding)
        remaining = list(skips)
        for level in reversed(range(len(self.up))):
            for i, block in enumerate(self.up[level]):
                h = block(torch.cat([h, remaining.pop()], 1), embedding)
                if self.config.up_attention[level]:
                    h = self.up_attn[level][i](h, *contexts[level])
            if level:
                h = self.grow[level](F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.out(F.silu(self.out_norm(h))), self.config.patch)

    def encode_neighbors(self, pictures, ids, keep):
        """pictures [B, K, 3, S, S], ids [B, K, T], keep [B, K] -> for each level tokens [B, K * n, D] and mask [B, K * n]."""
        batch, count = keep.shape
        text, mask = self.text(ids.flatten(0, 1))
        x = pictures.flatten(0, 1)
        clean, level = torch.zeros(batch * count, device=x.device, dtype=x.dtype), None
        if self.config.cond_channels:
            x, level = torch.cat([x, torch.zeros_like(x)], 1), clean
        _, skips = self.down_stack(x, self.embed(clean, text, mask, level), text, mask)
        levels, last = [], -1
        for level, blocks in enumerate(self.down):
            last += len(blocks)
            tokens = self.neighbor[level](skips[last].flatten(2).transpose(1, 2)) + self.neighbor_pos[level]
            kept = keep.repeat_interleave(tokens.shape[1], 1)
            levels.append((tokens.reshape(batch, -1, tokens.shape[-1]), kept))
        return levels

    def forward(self, x, t, ids, neighbors=None, level=None):
        """`neighbors`: what `encode_neighbors` returned, or None; a super-resolution stage takes the low-resolution picture,
        upsampled and noised, as x's last channels, and the noise's level [B]. -> the prediction [B, 3, S, S]."""
        text, mask = self.text(ids)
        embedding = self.embed(t, text, mask, level)
        h, skips = self.down_stack(x, embedding, text, mask)
        contexts = [(text, mask)] * len(self.up)
        if neighbors is not None:
            contexts = [(torch.cat([text, n.to(text.dtype)], 1), torch.cat([mask, seen], 1), n.shape[1]) for n, seen in neighbors]
        output = self.up_stack(h, skips, embedding, contexts)
        if not self.config.residual_std:
            return output
        of_x, of_low, of_output = (part[:, None, None, None] for part in around_low(t, level, self.config.residual_std))
        noisy, low = x.split(3, 1)
        return of_x * noisy + of_low * low + of_output * output.to(noisy.dtype)


def attend(query, key, value, bias):
    """Softmax attention; `bias` is added to the scores. On CPUs plain products are faster than the fused operator, above all backwards."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
    return scores.softmax(-1) @ value


def relative_buckets(length):
    """T5's bidirectional relative-position buckets (Raffel et al., 2020, section 2.1), [T, T]: query, key."""
    distance = torch.arange(length)[None] - torch.arange(length)[:, None]
    half, far = RELATIVE_BUCKETS // 2, distance.abs()
    exact = half // 2
    log = torch.log(far.float().clamp(min=1) / exact) / math.log(FARTHEST_BUCKET / exact) * (half - exact)
    coarse = (exact + log.long()).clamp(max=half - 1)
    return (distance > 0).long() * half + torch.where(far < exact, far, coarse)


def waves(t):
    """t [B] -> cosines and sines of 64 frequencies, [B, 128]."""
    steps = torch.arange(TIME_FREQUENCIES, device=t.device, dtype=t.dtype)
    angles = 1000 * t[:, None] * torch.exp(-math.log(10000) * steps / TIME_FREQUENCIES)
    return torch.cat([angles.cos(), angles.sin()], 1)


def cosine(t):
    """alpha and sigma of the variance-preserving cosine schedule."""
    angle = t * math.pi / 2
    return angle.cos(), angle.sin()


def around_low(t, level, std):
    """v in terms of the noisy picture, the low-resolution one as the model sees it, and the network's output; scales [B] each.

    Preconditioning (Karras et al., 2022, section 5) around the low-resolution picture: given that alone, a picture is taken for normal with
    mean low / alpha(level) and variance std^2 + (sigma / alpha)(level)^2; the noisy picture moves the mean and narrows the variance, and what
    the network says is how many deviations from that mean the picture lies.
    """
    (alpha, sigma), (low_alpha, low_sigma) = cosine(t), cosine(level)
    variance = std**2 + (low_sigma / low_alpha).square()
    spread = alpha.square() * variance + sigma.square()
    return alpha * sigma * (1 - variance) / spread, -sigma / (spread * low_alpha), -(variance / spread).sqrt()


def split_heads(x, heads):
    """[B, N, C] -> [B, heads, N, C / heads]."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def join_heads(x):
    """[B, heads, N, C / heads] -> [B, N, C]."""
    return x.transpose(1, 2).flatten(2)


def zeroed(layer):
    """A layer that adds nothing before it is trained."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
