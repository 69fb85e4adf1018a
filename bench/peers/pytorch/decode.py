"""One child process of the decode bench: greedy decoding with a key/value cache, prints one JSON line."""

import json
import time

import torch

from gpt import Gpt, memory_bytes, read_workload


@torch.inference_mode()
def generate(model: Gpt, batch: int, count: int) -> list[int]:
    """Greedy continuation of token 0 by `count` tokens; returns those of the first row."""
    cache = model.new_cache(batch)
    token = torch.zeros(batch, 1, dtype=torch.long)
    produced = []
    for position in range(count):
        token = model.decode(token, cache, position).argmax(-1, keepdim=True)
        produced.append(int(token[0, 0]))  # a server streams each token, so each one is read
    return produced


def main() -> None:
    workload = read_workload()
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    baseline = memory_bytes("VmRSS")
    model = Gpt(workload).eval()

    times = []
    for _ in range(workload.warmup + workload.steps):
        start = time.perf_counter()
        generate(model, workload.batch, workload.length)
        times.append((time.perf_counter() - start) * 1000)

    print(
        json.dumps(
            {
                "runMs": times[workload.warmup :],
                "tokens": workload.length,
                "peakBytes": memory_bytes("VmHWM"),
                "baselineBytes": baseline,
                "parameters": sum(p.numel() for p in model.parameters()),
                "version": f"PyTorch {torch.__version__}",
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
