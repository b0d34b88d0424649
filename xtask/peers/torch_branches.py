"""Measures PyTorch's training step of the same two branches: a ResNet-50 on the whole image, and a ResNet-14 on four
windows of 64 pixels with attention over the windows. Each has its own loss; channels-last, f32 or bf16 autocast.

    python torch_branches.py --batch 16 [--bf16]

Prints one JSON line with the median images/s.
"""
import torch
import torchvision
from torchvision.models.resnet import Bottleneck, ResNet

from common import median_seconds, peak_bytes, print_measurement, step_parser

WINDOWS, SIDE = 4, 64


class PatchNetwork(ResNet):
    """`resnet14_patch` of crates/model: a stem without stride, and one bottleneck in each stage."""

    def __init__(self):
        super().__init__(Bottleneck, [1, 1, 1, 1], num_classes=2)
        self.inplanes = 24
        self.conv1 = torch.nn.Conv2d(3, 24, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(24)
        self.layer1 = self._make_layer(Bottleneck, 24, 1)
        self.layer2 = self._make_layer(Bottleneck, 48, 1, stride=2)
        self.layer3 = self._make_layer(Bottleneck, 96, 1, stride=2)
        self.layer4 = self._make_layer(Bottleneck, 192, 1, stride=2)
        self.fc = torch.nn.Linear(768, 2)


def main():
    args = step_parser().parse_args()
    torch.manual_seed(0)
    layout = dict(memory_format=torch.channels_last)
    whole = torchvision.models.resnet50(num_classes=1).to(**layout)
    patches = PatchNetwork().to(**layout)
    images = torch.randn(args.batch, 3, args.size, args.size).to(**layout)
    windows = torch.randn(args.batch * WINDOWS, 3, SIDE, SIDE).to(**layout)
    targets = torch.randint(0, 2, (args.batch,)).float()
    adam = torch.optim.Adam([*whole.parameters(), *patches.parameters()], lr=1e-4)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=args.bf16)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def step():
        adam.zero_grad()
        # One branch after the other, so that the activations of only one are in memory.
        with autocast():
            margins = whole(images)[:, 0]
        loss_of(margins.float(), targets).backward()
        with autocast():
            scores = patches(windows).float().view(args.batch, WINDOWS, 2)
        loss_of((scores[..., 0].softmax(1) * scores[..., 1]).sum(1), targets).backward()
        adam.step()

    seconds = median_seconds(step, args.seconds)
    print_measurement(f"PyTorch {torch.__version__}", args.batch / seconds, "images/s", peak_bytes(),
        threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
