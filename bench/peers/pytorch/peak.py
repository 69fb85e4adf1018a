"""One child process of the peak bench: the fastest product of square float32 matrices, as one JSON line."""

import json
import sys
import time

import torch


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    best = 0.0
    for size in job["sizes"]:
        a, b = torch.randn(size, size), torch.randn(size, size)
        for _ in range(job["repeats"]):
            start = time.perf_counter()
            a @ b
            best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    print(json.dumps({"gflopsPerSecond": best, "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
