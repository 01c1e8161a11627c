"""Muon (Jordan et al., 2024): the momentum of a matrix is replaced by the nearest orthogonal one, so that all its directions learn alike.

Steps are scaled to the size of AdamW's (Liu et al., 2025, "Muon is scalable for LLM training", section 2.2), so that both share a rate.
"""

import torch

# Of the quintic iteration: steep at zero, so that five rounds bring all singular values near one.
A, B, C = 3.4445, -4.7750, 2.0315
ROUNDS = 5
ADAM_SIZE = 0.2  # root mean square of AdamW's steps
# Each matrix moves at every second step, twice as far: momentum looks back over twenty steps, and the rounds take a fifth of a step's time.
EVERY = 2


class Muon(torch.optim.Optimizer):
    """For parameters of two or more dimensions; convolutions are matrices of outputs by inputs and taps."""

    def __init__(self, parameters, rate, momentum=0.95, weight_decay=0.01):
        super().__init__(parameters, dict(lr=rate, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["steps"] = group.get("steps", 0) + 1
            rate = group["lr"] * EVERY
            for shape, parameters in by_shape(group["params"]).items():
                gradients = [p.grad for p in parameters]
                momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                turn = slice(group["steps"] % EVERY, None, EVERY)
                parameters, gradients, momenta = parameters[turn], gradients[turn], momenta[turn]
                if not parameters:
                    continue
                # Nesterov: the gradient is looked at once more.
                ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
                steps = orthogonal(torch.stack([matrix.flatten(1) for matrix in ahead]))
                size = ADAM_SIZE * max(steps.shape[1:]) ** 0.5
                torch._foreach_mul_(parameters, 1 - rate * group["weight_decay"])
                for parameter, step in zip(parameters, steps):
                    parameter.add_(step.view(shape), alpha=-rate * size)


def by_shape(parameters):
    """Lists of parameters by shape, those without a gradient left out."""
    groups = {}
    for parameter in parameters:
        if parameter.grad is not None:
            groups.setdefault(parameter.shape, []).append(parameter)
    return groups


def orthogonal(matrices):
    """[n, r, c] -> for each about U V^T of its singular value decomposition (Newton-Schulz), float32."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return (x.mT if tall else x).float()
