"""Judges one picture with a ResNet-50 of a checkpoint, as a program that is started for it. `cargo xtask bench` measures
the time from its start to its end.

    python torch_predict.py --model FOLDER PICTURE
"""
import argparse
import json
import pathlib

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("picture")
    args = parser.parse_args()
    preprocessor = json.loads((args.model / "preprocessor_config.json").read_text())
    size = (preprocessor["size"]["width"], preprocessor["size"]["height"])
    image = Image.open(args.picture).convert("RGB").resize(size, Image.Resampling.BILINEAR)
    x = torchvision.transforms.functional.to_tensor(image)
    x = torchvision.transforms.functional.normalize(x, preprocessor["image_mean"], preprocessor["image_std"])
    model = torchvision.models.resnet50(num_classes=2)
    model.load_state_dict(load_file(args.model / "model.safetensors"))
    with torch.inference_mode():
        print(model.eval()(x[None]).softmax(1)[0, 1].item())


if __name__ == "__main__":
    main()
