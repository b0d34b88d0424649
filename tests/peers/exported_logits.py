"""Prints the logits that other programs compute with an exported model. `crates/export/tests/peers.rs` compares them.

    python tests/peers/exported_logits.py FOLDER ONNX PIXELS

FOLDER is an export for Hugging Face, ONNX one as an ONNX file. PIXELS is a file of u8 pixels in the order N,H,W,C, of the
size that the metadata of ONNX name. Prints an object with an array [[real, fake], ...] of each program. For versions see
xtask/peers/requirements.txt.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import timm
import torch
import torchvision
import transformers


def main():
    folder, path = pathlib.Path(sys.argv[1]), sys.argv[2]
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    made = json.loads(metadata["preprocessor_config"])
    assert json.loads(metadata["id2label"]) == {"0": "real", "1": "fake"}, metadata["id2label"]
    assert session.get_inputs()[0].shape == ["N", 3, made["size"]["height"], made["size"]["width"]]
    assert session.get_outputs()[0].shape == ["N", 2]
    pixels = np.fromfile(sys.argv[3], np.uint8).reshape(-1, made["size"]["height"], made["size"]["width"], 3)
    mean, std = (np.float32(made[key]) for key in ["image_mean", "image_std"])
    x = ((pixels * np.float32(made["rescale_factor"]) - mean) / std).transpose(0, 3, 1, 2)
    x = np.ascontiguousarray(x, np.float32)
    logits = {}
    for batch in [1, 3, 64]:
        logits[f"onnxruntime, batch {batch}"] = session.run(["logits"], {"pixel_values": x[:batch]})[0]

    config = json.loads((folder / "config.json").read_text())
    networks = {"torchvision": getattr(torchvision.models, config["architecture"])(num_classes=config["num_classes"])}
    networks["torchvision"].load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"), strict=True)
    networks["timm"] = timm.create_model(f"local-dir:{folder}", pretrained=True)
    data = timm.data.resolve_model_data_config(networks["timm"])
    assert list(data["input_size"]) == list(x.shape[1:]) and data["crop_mode"] == made["fit"], data
    assert np.allclose(data["mean"], mean) and np.allclose(data["std"], std), data
    networks["transformers"] = transformers.AutoModelForImageClassification.from_pretrained(folder)
    assert networks["transformers"].config.id2label == {0: "real", 1: "fake"}
    torch.set_num_threads(1)
    for name, network in networks.items():
        with torch.no_grad():
            output = network.eval()(torch.from_numpy(x))
        logits[name] = getattr(output, "logits", output).numpy()
    print(json.dumps({name: values.tolist() for name, values in logits.items()}))


main()
