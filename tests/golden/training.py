"""Makes PyTorch's results for the options of training: learning-rate schedules, the loss with label smoothing and weights, and
ten steps of AdamW with accumulated and clipped gradients and a moving average.

Run with torch 2.15.0 in double precision (the version used is in the file):

    python tests/golden/training.py > tests/golden/training/options.json

Values are hashes of their names and indices, as in `model.py` (`hashed_values.py`). `crates/train` compares the schedules and the targets of the
loss, and `crates/model` the loss and the steps.
"""
import json

import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hashed_values import uniform

HIGHEST = 0.01
WARMUP, INTERVAL, TOTAL = 4, 5, 20
# The parameters of `Architecture::bottlenecks(8, &[1])` with two classes.
PARAMETERS = 2570
STEPS, IMAGES = 10, (5, 3)
OPTIONS = {"learning_rate": 0.003, "weight_decay": 0.05, "clip_norm": 0.5, "ema": 0.8}


def schedules():
    """Returns the learning rates of all steps of each schedule, with and without warm-up."""
    rates = {}
    for warmup in (0, WARMUP):
        for name in ("constant", "cosine", "step"):
            optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=HIGHEST)
            after = {
                "constant": lambda: lr_scheduler.ConstantLR(optimiser, factor=1.0),
                "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimiser, T_max=TOTAL - warmup),
                "step": lambda: lr_scheduler.StepLR(optimiser, step_size=INTERVAL, gamma=0.1),
            }[name]
            if warmup:
                rise = lr_scheduler.LinearLR(optimiser, start_factor=1 / (warmup + 1), total_iters=warmup)
                schedule = lr_scheduler.SequentialLR(optimiser, [rise, after()], milestones=[warmup])
            else:
                schedule = after()
            rates[f"{name}, warm-up {warmup}"] = []
            for _ in range(TOTAL):
                rates[f"{name}, warm-up {warmup}"].append(optimiser.param_groups[0]["lr"])
                optimiser.step()
                schedule.step()
    return {"highest": HIGHEST, "warmup": WARMUP, "interval": INTERVAL, "factor": 0.1, "total": TOTAL, "rates": rates}


def losses():
    """Returns the loss and the gradient of ten batches of six images, with label smoothing and weights of images."""
    batches = []
    for batch in range(STEPS):
        logits = torch.from_numpy(8 * uniform(f"logits-{batch}", 12).reshape(6, 2) - 4).requires_grad_()
        labels = torch.from_numpy((uniform(f"labels-{batch}", 6) * 2).astype(int))
        weights = torch.from_numpy(2 * uniform(f"weights-{batch}", 6))
        each = torch.nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)
        loss = (weights * each).mean()
        loss.backward()
        batches.append({
            "logits": logits.flatten().tolist(), "labels": labels.tolist(), "weights": weights.tolist(),
            "loss": loss.item(), "gradient": logits.grad.flatten().tolist(),
        })
    return {"label_smoothing": 0.1, "batches": batches}


class Parameters(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.values = torch.nn.Parameter(torch.from_numpy(uniform("parameters", PARAMETERS) - 0.5))


def summary(values, samples=16):
    flat = values.detach().double().flatten()
    at = (uniform("samples", samples) * len(flat)).astype(int).tolist()
    return {"norm": flat.norm().item(), "at": at, "values": flat[at].tolist()}


def steps():
    """Returns the parameters, their average and the norms of the gradients of ten steps of two batches each."""
    model = Parameters()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=OPTIONS["learning_rate"], weight_decay=OPTIONS["weight_decay"]
    )
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(OPTIONS["ema"]))
    norms = []
    for step in range(STEPS):
        optimiser.zero_grad()
        for batch, images in enumerate(IMAGES):
            # The norm of the gradients is below the limit in some steps.
            gradient = torch.from_numpy(uniform(f"gradient-{step}-{batch}", PARAMETERS) - 0.5) * 0.01 * (step + 1)
            # The gradient of a mean loss over `images` images.
            loss = (gradient * model.values).sum()
            (loss * images / sum(IMAGES)).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIONS["clip_norm"]).item())
        optimiser.step()
        averaged.update_parameters(model)
    assert min(norms) < OPTIONS["clip_norm"] < max(norms)
    return {
        **OPTIONS, "parameters_len": PARAMETERS, "images": IMAGES, "norms": norms,
        "parameters": summary(model.values), "average": summary(averaged.module.values),
    }


print(json.dumps({
    "made_with": {"torch": torch.__version__.split("+")[0]},
    "schedules": schedules(), "losses": losses(), "steps": steps(),
}, indent=1))
