"""One child process of the gpt-step bench: `python gpt_step.py '{"width": 256, …}'` prints one JSON line.

Eager PyTorch as a good user writes it: scaled_dot_product_attention, fused AdamW with decay on matrices only, clipping
by the global norm, gradients set to None.
"""

import json
import time

import torch
from torch import nn

from gpt import Gpt, memory_bytes, read_workload, synthetic_tokens


def main() -> None:
    workload = read_workload()
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    baseline = memory_bytes("VmRSS")

    model = Gpt(workload)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    batch = synthetic_tokens(workload)
    tokens, targets = batch[:, :-1].contiguous(), batch[:, 1:].contiguous()

    losses, times = [], []
    for _ in range(workload.warmup + workload.steps):
        start = time.perf_counter()
        loss = model(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        times.append((time.perf_counter() - start) * 1000)

    print(
        json.dumps(
            {
                "stepMs": times[workload.warmup :],
                "peakBytes": memory_bytes("VmHWM"),
                "baselineBytes": baseline,
                "loss": losses,
                "parameters": sum(p.numel() for p in model.parameters()),
                "version": f"PyTorch {torch.__version__}",
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
