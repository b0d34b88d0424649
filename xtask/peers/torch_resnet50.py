"""Measures PyTorch's training step and inference of the same network: channels-last, f32 or bf16 autocast.

    python torch_resnet50.py train --batch 16 [--bf16] [--device cuda] [--compile]

Prints one JSON line with the median images/s.
"""
import torch
import torchvision

from common import median_seconds, peak_bytes, print_measurement, step_parser

# Steps between two synchronisations with the card.
CARD_BLOCK = 10


def main():
    parser = step_parser()
    parser.add_argument("what", choices=["train", "infer"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    on_card = args.device == "cuda"
    torch.backends.cudnn.benchmark = on_card
    # True f32, as in Candling. By default PyTorch's convolutions would use TF32.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    model = torchvision.models.resnet50(num_classes=2).to(args.device, memory_format=torch.channels_last)
    forward = torch.compile(model) if args.compile else model
    shape = (args.batch, 3, args.size, args.size)
    x = torch.randn(shape, device=args.device).to(memory_format=torch.channels_last)
    y = torch.randint(0, 2, (args.batch,), device=args.device)
    adam = torch.optim.Adam(model.parameters(), lr=1e-4)
    autocast = torch.autocast(args.device, torch.bfloat16, enabled=args.bf16)

    def train():
        with autocast:
            loss = torch.nn.functional.cross_entropy(forward(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()

    def infer():
        with torch.inference_mode(), autocast:
            forward(x)

    model.train(args.what == "train")
    step = train if args.what == "train" else infer
    steps = CARD_BLOCK if on_card else 1

    def block():
        for _ in range(steps):
            step()
        if on_card:
            torch.cuda.synchronize()

    seconds = median_seconds(block, args.seconds)
    memory = peak_bytes()
    if on_card:
        free, total = torch.cuda.mem_get_info()
        memory = total - free
    cudnn = f", cuDNN {torch.backends.cudnn.version()}" if on_card else ""
    print_measurement(f"PyTorch {torch.__version__}{cudnn}", args.batch * steps / seconds, "images/s", memory,
        threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
