"""Makes transformers' results for tiny towers with reproducible weights, for `crates/vision/tests`.

Run with torch 2.15.0 and transformers 5.24.0 in double precision (the versions used are in the files):

    python tests/golden/vision.py tests/golden/vision

Weights and pixels are hashes of their names and indices, so that no large file is needed. Each file has the configurations as
transformers saves them, the names and shapes of all tensors of its checkpoint, and the expected results.
"""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

from hashed_values import uniform

IMAGES = 2
SAMPLES = 4
TINY = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2)


def value(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("bias"):
        v = 0.4 * u - 0.2
    elif len(shape) < 2:
        v = 0.5 + u
    else:
        v = (2 * u - 1) * np.sqrt(6.0 / np.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def summary(name, tensor):
    flat = tensor.detach().double().flatten()
    at = (uniform(name, SAMPLES) * len(flat)).astype(int).tolist()
    return {"norm": flat.norm().item(), "at": at, "values": flat[at].tolist()}


def saved_name(name):
    """Returns the name in checkpoints of a parameter of transformers 5, which renames those of DINOv2 when it loads them."""
    for new, old in [("q_proj", "attention.query"), ("k_proj", "attention.key"), ("v_proj", "attention.value"),
            ("o_proj", "output.dense")]:
        name = name.replace(f".attention.{new}.", f".attention.{old}.")
    return name


def rounded(tensor):
    return [float(f"{v:.8g}") for v in tensor.detach().double().flatten().tolist()]


def golden(model_class, config, side, mean, std):
    """Returns the results of a tower for inputs of `side` pixels."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model_class(config).save_pretrained(folder)
        with safe_open(folder / "model.safetensors", "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
        state = {name: value(name, shape) for name, shape in shapes.items() if "position_ids" not in name}
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        model, info = model_class.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        saved = json.loads((folder / "config.json").read_text())
    model = model.double().eval()
    tower = getattr(model, "vision_model", model)
    layers = tower.encoder.layers if hasattr(tower.encoder, "layers") else tower.encoder.layer
    kept = []
    for layer in layers:
        layer.register_forward_hook(lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out))
    pixels = torch.from_numpy(np.floor(uniform("pixels", IMAGES * side * side * 3) * 256).reshape(IMAGES, side, side, 3))
    x = (pixels / 255 - torch.tensor(mean).double()) / torch.tensor(std).double()
    x = x.permute(0, 3, 1, 2).contiguous()
    inputs = dict(pixel_values=x, output_attentions=True)
    if hasattr(model, "text_model"):
        out = model.vision_model(**inputs)
        pooled = model.visual_projection(out.pooler_output) if hasattr(model, "visual_projection") else out.pooler_output
    else:
        out = model(**inputs)
        pooled = out.image_embeds if "image_embeds" in out else out.pooler_output
    registers = getattr(saved.get("vision_config", saved), "num_register_tokens", saved.get("num_register_tokens", 0))
    classes = 0 if "siglip" in saved["model_type"] else 1
    summaries = []
    for tokens in kept:
        mean_of_patches = tokens[:, classes + registers:].mean(1, keepdim=True)
        summaries.append(torch.cat([tokens[:, :1], mean_of_patches], 1) if classes else mean_of_patches)
    features = torch.stack(summaries, 1)

    # The gradients of a loss on all outputs.
    weights = torch.from_numpy(uniform("loss", features.numel() + pooled.numel()) - 0.5)
    loss = (torch.cat([features.flatten(), pooled.flatten()]) * weights).sum()
    loss.backward()
    gradients = {saved_name(k): summary(k, p.grad) for k, p in model.named_parameters()
        if p.grad is not None and "text" not in k}
    assert not gradients.keys() - state.keys(), gradients.keys() - state.keys()

    return {
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "config": {k: v for k, v in saved.items() if k not in ("architectures", "transformers_version")},
        "preprocessor": {"size": side, "crop_size": side, "resample": 3, "image_mean": mean, "image_std": std},
        "tensors": {name: list(tensor.shape) for name, tensor in state.items()},
        "images": IMAGES,
        "features": rounded(features), "pooled": rounded(pooled),
        "loss": loss.item(), "gradients": gradients,
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    half = [0.5] * 3
    clip = dict(TINY, intermediate_size=64, patch_size=7, image_size=28)
    text = dict(TINY, intermediate_size=48, vocab_size=20, max_position_embeddings=8)
    dino = dict(TINY, mlp_ratio=2, patch_size=7)
    cases = {
        "clip": (transformers.CLIPVisionModelWithProjection, transformers.CLIPVisionConfig(projection_dim=24, **clip), 28),
        "clip_with_text": (transformers.CLIPModel, transformers.CLIPConfig(
            text_config=text, vision_config=dict(clip, hidden_act="gelu"), projection_dim=24), 28),
        "dinov2": (transformers.Dinov2Model, transformers.Dinov2Config(image_size=28, **dino), 28),
        "dinov2_enlarged": (transformers.Dinov2Model, transformers.Dinov2Config(image_size=28, **dino), 42),
        "dinov2_registers": (transformers.Dinov2WithRegistersModel, transformers.Dinov2WithRegistersConfig(
            image_size=42, num_register_tokens=3, **dino), 28),
        "siglip": (transformers.SiglipVisionModel, transformers.SiglipVisionConfig(
            **dict(clip, image_size=32, patch_size=8)), 32),
    }
    for name, (model_class, config, side) in cases.items():
        mean = half if name == "siglip" else [0.48, 0.46, 0.41]
        std = half if name == "siglip" else [0.27, 0.26, 0.28]
        text = json.dumps(golden(model_class, config, side, mean, std), separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")


main()
