"""Makes diffusers' results for tiny autoencoders with reproducible weights, for `crates/autoencoder/tests`.

Run with torch 2.15.0 and diffusers 0.42.1 in double precision (the versions used are in the file):

    python tests/golden/autoencoder.py tests/golden/autoencoder.json

Weights and pixels are hashes of their names and indices, so that no large file is needed. The file has the configurations as
diffusers saves them, the names and shapes of all tensors, and the reconstructed values of an image.
"""
import json
import sys

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderKL

from hashed_values import uniform

WIDTH, HEIGHT = 24, 16
TINY = dict(
    block_out_channels=(8, 16, 16),
    down_block_types=("DownEncoderBlock2D",) * 3,
    up_block_types=("UpDecoderBlock2D",) * 3,
    layers_per_block=1,
    norm_num_groups=4,
)


def value(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("bias"):
        v = 0.4 * u - 0.2
    elif len(shape) < 2:
        v = 0.5 + u
    else:
        v = (2 * u - 1) * np.sqrt(3.0 / np.prod(shape[1:]))
    return torch.from_numpy(v.astype(np.float32).reshape(shape))


def case(name, **changes):
    model = AutoencoderKL(**{**TINY, **changes}).double().eval()
    state = model.state_dict()
    model.load_state_dict({key: value(f"{name} {key}", tuple(tensor.shape)).double() for key, tensor in state.items()})
    pixels = np.floor(256 * uniform(f"{name} pixels", HEIGHT * WIDTH * 3)).reshape(HEIGHT, WIDTH, 3)
    image = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.no_grad():
        result = model.decode(model.encode(image).latent_dist.mode()).sample
    config = {key: entry for key, entry in model.config.items() if not key.startswith("_")}
    return {
        "name": name,
        "config": {"_class_name": "AutoencoderKL", **config},
        "tensors": {key: list(tensor.shape) for key, tensor in state.items()},
        "width": WIDTH,
        "height": HEIGHT,
        # [3, height, width], from -1 to 1.
        "result": [round(float(v), 6) for v in result[0].flatten()],
    }


cases = [case("standard", latent_channels=4), case("plain", latent_channels=6, use_quant_conv=False, use_post_quant_conv=False)]
content = {"torch": torch.__version__.split("+")[0], "diffusers": diffusers.__version__, "cases": cases}
with open(sys.argv[1], "w") as file:
    json.dump(content, file)
    file.write("\n")
