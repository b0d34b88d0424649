"""Measures PyTorch's inference of the same vision transformer, CLIP ViT-B/16 of transformers: f32 or bf16 autocast.

    python torch_vit.py --batch 16 [--bf16]

Prints one JSON line with the median images/s.
"""
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, __version__

from common import median_seconds, peak_bytes, print_measurement, step_parser


def main():
    args = step_parser().parse_args()
    torch.manual_seed(0)
    # Attention is PyTorch's fused scaled_dot_product_attention, the default of transformers.
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16, image_size=args.size)).eval()
    x = torch.randn(args.batch, 3, args.size, args.size)

    def block():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            model(x, output_hidden_states=True)

    seconds = median_seconds(block, args.seconds)
    program = f"PyTorch {torch.__version__}, transformers {__version__}"
    print_measurement(program, args.batch / seconds, "images/s", peak_bytes(), threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
