"""Prints torchvision's logits for raw pixels with a checkpoint of Candling. `tests/tests/torchvision.rs` compares them.

    python tests/peers/torchvision_logits.py CHECKPOINT PIXELS SIDE

CHECKPOINT is a folder with model.safetensors and preprocessor_config.json. PIXELS is a file of u8 pixels in the order
N,H,W,C, SIDE the height and width. Prints [[real, fake], ...]. For versions see xtask/peers/requirements.txt.
"""
import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
import torchvision


def main():
    checkpoint, side = pathlib.Path(sys.argv[1]), int(sys.argv[3])
    made = json.loads((checkpoint / "preprocessor_config.json").read_text())
    model = torchvision.models.resnet50(num_classes=2)
    model.load_state_dict(safetensors.torch.load_file(checkpoint / "model.safetensors"), strict=True)
    model.eval()
    pixels = torch.from_numpy(np.fromfile(sys.argv[2], np.uint8).reshape(-1, side, side, 3)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(made[key]).view(1, 3, 1, 1) for key in ["image_mean", "image_std"])
    with torch.no_grad():
        logits = model((pixels * made["rescale_factor"] - mean) / std)
    print(json.dumps(logits.tolist()))


main()
