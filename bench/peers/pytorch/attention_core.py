"""One child process of the attention-core bench: scaled_dot_product_attention, forward alone or with gradients, as one JSON line."""

import json
import sys
import time

import torch
import torch.nn.functional as F


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    shape = (1, job["heads"], job["length"], job["headWidth"])
    q, k, v = (torch.randn(shape, requires_grad=job["backward"]) for _ in range(3))
    weights = torch.randn(shape)
    times, value = [], 0.0
    for _ in range(job["repeats"] + 1):
        start = time.perf_counter()
        loss = (F.scaled_dot_product_attention(q, k, v, is_causal=job["causal"]) * weights).sum()
        if job["backward"]:
            loss.backward()
        value = loss.item()
        times.append((time.perf_counter() - start) * 1000)
        q.grad = k.grad = v.grad = None
    print(json.dumps({"runMs": times[1:], "value": value, "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
