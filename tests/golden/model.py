"""Makes PyTorch's results for a ResNet with reproducible weights, for `crates/model/tests/pytorch.rs`.

Run with torch 2.15.0 and torchvision 0.29.2 in double precision (the versions used are in the file):

    python tests/golden/model.py resnet50 > tests/golden/model/resnet50.json
    python tests/golden/model.py resnet18 > tests/golden/model/resnet18.json

Weights and pixels are hashes of their names and indices, so that no large file is needed. The biases of batch norms are kept
away from zero: if an activation were near zero, rounding would decide whether ReLU passes it and its gradient, and two correct
implementations could differ.
"""
import json
import sys

import numpy as np
import torch
import torchvision

from hashed_values import uniform

SHAPE = [4, 72, 56]
LABELS = [0, 1, 1, 0]
SAMPLES = 4
LEARNING_RATE = 1e-4


def value(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("running_mean"):
        v = 0.2 * u - 0.1
    elif name.endswith("running_var"):
        v = 4.0 + 8.0 * u
    elif name == "fc.bias":
        v = u - 0.5
    elif name.endswith(".bias"):
        v = np.where(u < 0.7, 3.0 + u, -3.0 - u)
    elif len(shape) == 1:
        v = 0.5 + u
    else:
        v = (2 * u - 1) * np.sqrt(6.0 / np.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def summary(tensor, samples=SAMPLES):
    flat = tensor.detach().double().flatten()
    at = (uniform("samples", samples) * len(flat)).astype(int).tolist()
    return {"norm": flat.norm().item(), "at": at, "values": flat[at].tolist()}


def main():
    model = getattr(torchvision.models, sys.argv[1])(num_classes=2)
    state = {k: value(k, list(v.shape)) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    model.load_state_dict(state, strict=False)
    state_dict = {k: {"shape": list(v.shape), "dtype": str(v.dtype)[6:]} for k, v in model.state_dict().items()}
    model.double()
    n, h, w = SHAPE
    pixels = torch.from_numpy(np.floor(uniform("pixels", n * h * w * 3) * 256).reshape(n, h, w, 3)).permute(0, 3, 1, 2)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).double(), torch.tensor([0.229, 0.224, 0.225]).double()
    x = (pixels / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    golden = {
        "made_with": {"torch": torch.__version__.split("+")[0], "torchvision": torchvision.__version__.split("+")[0]},
        "state_dict": state_dict,
        "shape": SHAPE, "labels": LABELS, "learning_rate": LEARNING_RATE,
    }

    model.eval()
    golden["evaluation_logits"] = model(x).tolist()
    golden["grad_cam"] = {layer: grad_cam(model, x, layer) for layer in ("layer1", "layer2", "layer3", "layer4")}

    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    golden["losses"] = []
    for step in range(3):
        logits = model(x)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS))
        optimiser.zero_grad()
        loss.backward()
        golden["losses"].append(loss.item())
        if step == 0:
            golden["training_logits"] = logits.tolist()
            golden["gradients"] = {k: summary(p.grad) for k, p in model.named_parameters()}
            golden["statistics"] = {k: summary(b) for k, b in model.named_buffers() if "running" in k}
        optimiser.step()
    golden["parameters"] = {k: summary(p) for k, p in model.named_parameters()}
    print(json.dumps(golden, separators=(",", ":")))


def grad_cam(model, x, layer):
    """Returns the Grad-CAM map of each image's label, neither upsampled nor normalised."""
    kept = {}
    hook = getattr(model, layer).register_forward_hook(lambda _m, _i, out: kept.update(out=out))
    logits = model(x)
    hook.remove()
    score = logits[range(len(LABELS)), LABELS].sum()
    (gradient,) = torch.autograd.grad(score, kept["out"])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return summary(torch.relu((weights * kept["out"]).sum(1)), 4 * SAMPLES)


main()
