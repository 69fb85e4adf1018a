"""One child process of the attention bench: `python attention.py '{"peer": "window_256", …}'` prints one JSON line.

One layer of a mechanism in eager PyTorch, forward and backward: the loss `sum(y · w)` for fixed random w, and its
gradients with respect to x and all parameters. `python attention.py check` compares what is computed in blocks with the
same pattern masked.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import attention_kernels as kernels
import attention_learned as learned
import attention_patterns as patterns
from gpt import memory_bytes

Job = dict[str, Any]


class Heads(nn.Module):
    """Linear maps to heads by name, and one back."""

    def __init__(self, job: Job, *names: str) -> None:
        super().__init__()
        width = job["width"]
        self.heads = job["heads"]
        self.maps = nn.ModuleDict({name: nn.Linear(width, width) for name in names})
        self.out = nn.Linear(width, width)

    def project(self, x: Tensor) -> list[Tensor]:
        """[B, H, T, D] each"""
        return [linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in self.maps.values()]

    def join(self, mixed: Tensor) -> Tensor:
        return self.out(mixed.transpose(1, 2).flatten(2))


class Projected(Heads):
    """Queries, keys and values projected by head, mixed by `core`, projected back; `shared`: keys are the queries."""

    def __init__(self, job: Job, core: Callable[..., Tensor], gated: bool = False, shared: bool = False) -> None:
        super().__init__(job, *(("query", "value") if shared else ("query", "key", "value")))
        self.gate = nn.Linear(job["width"], self.heads) if gated else None
        self.core = core

    def forward(self, x: Tensor) -> Tensor:
        q, *k, v = self.project(x)
        gate = () if self.gate is None else (self.gate(x).mT,)
        return self.join(self.core(q, k[0] if k else q, v, *gate))


class Mixing(Heads):
    """Like `Projected`, for a core that looks at x itself too."""

    def __init__(self, job: Job, core: nn.Module, *names: str) -> None:
        super().__init__(job, *names)
        self.core = core

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.core(x, *self.project(x)))


def full(job: Job) -> nn.Module:
    return Projected(job, lambda q, k, v: patterns.full(q, k, v, job["causal"]))


def window(job: Job) -> nn.Module:
    before = job["settings"]["before"]
    return Projected(job, lambda q, k, v: patterns.window(q, k, v, before))


def dilated(job: Job) -> nn.Module:
    settings = job["settings"]
    [dilation] = settings["dilations"]
    return Projected(job, lambda q, k, v: patterns.dilated(q, k, v, settings["before"], dilation))


def strided(job: Job) -> nn.Module:
    stride = job["settings"]["stride"]
    return Projected(job, lambda q, k, v: patterns.strided(q, k, v, stride))


def fixed(job: Job) -> nn.Module:
    settings = job["settings"]
    return Projected(job, lambda q, k, v: patterns.fixed(q, k, v, settings["stride"], settings["summary"]))


def blockwise(job: Job) -> nn.Module:
    settings = job["settings"]
    return Projected(job, lambda q, k, v: patterns.blockwise(q, k, v, settings["blocks"], settings["shifted"]))


def local_1d(job: Job) -> nn.Module:
    block = job["settings"]["block"]
    return Projected(job, lambda q, k, v: patterns.local_1d(q, k, v, block))


def local_2d(job: Job) -> nn.Module:
    settings = job["settings"]
    block, flange = settings["queryBlock"][0], settings["flange"][0]
    return Projected(job, lambda q, k, v: patterns.local_2d(q, k, v, settings["columns"], block, flange))


def axial(job: Job) -> nn.Module:
    columns = job["settings"]["columns"]
    return Projected(job, lambda q, k, v: patterns.axial(q, k, v, columns))


def etc(job: Job) -> nn.Module:
    settings = job["settings"]
    width, heads = job["width"] // job["heads"], job["heads"]
    core = patterns.Etc(width, heads, settings["globals"], settings["radius"], settings["furthestLabel"])
    return Projected(job, core)


def longformer(job: Job) -> nn.Module:
    from attention_hugging_face import Longformer

    settings = job["settings"]
    return Longformer(job["width"], job["heads"], job["length"], settings["window"], settings["globals"])


def bigbird(job: Job) -> nn.Module:
    from attention_hugging_face import BigBird

    settings = job["settings"]
    return BigBird(job["width"], job["heads"], job["length"], settings["block"], settings["random"])


def linear(job: Job) -> nn.Module:
    return Projected(job, lambda q, k, v: kernels.linear(q, k, v, job["causal"]))


def performer(job: Job) -> nn.Module:
    return Projected(job, kernels.Performer(job["width"] // job["heads"], job["settings"]["features"], job["causal"]))


def rfa(job: Job) -> nn.Module:
    settings = job["settings"]
    core = kernels.Rfa(job["width"] // job["heads"], job["heads"], settings["features"], job["causal"])
    return Projected(job, core, gated=settings.get("gated", False))


def linformer(job: Job) -> nn.Module:
    return Projected(job, learned.Linformer(job["length"], min(job["settings"]["slots"], job["length"])))


def synthesizer(job: Job) -> nn.Module:
    width, heads, length, causal = job["width"], job["heads"], job["length"], job["causal"]
    settings = job["settings"]
    if settings["logits"] == ["dense"]:
        return Mixing(job, learned.DenseSynthesizer(width, heads, length, causal), "value")
    return Mixing(job, learned.FactorisedTable(heads, length, settings["rank"], causal), "value")


def memory_compressed(job: Job) -> nn.Module:
    return learned.MemoryCompressed(job["width"], job["heads"], job["settings"]["factor"], job["causal"])


def induced_set(job: Job) -> nn.Module:
    return learned.InducedSet(job["width"], job["heads"], job["settings"]["points"])


def routing(job: Job) -> nn.Module:
    settings, heads = job["settings"], job["heads"]
    width = job["width"] // heads
    core = learned.Routing(width, heads, settings["centroids"], settings["window"], job["causal"])
    return Projected(job, core, shared=job["causal"])


def sinkhorn(job: Job) -> nn.Module:
    settings = job["settings"]
    core = learned.Sinkhorn(
        job["width"], job["heads"], job["length"], settings["block"], settings["iterations"], job["causal"]
    )
    return Mixing(job, core, "query", "key", "value")


def lsh(job: Job) -> nn.Module:
    from attention_hugging_face import Reformer

    settings = job["settings"]
    return Reformer(job["width"], job["heads"], job["length"], job["causal"], settings["rounds"], settings["chunk"])


def reformer_local(job: Job) -> nn.Module:
    chunk = job["settings"]["chunk"]
    return Projected(job, lambda q, k, v: patterns.local_1d(q, k, v, chunk))


LAYERS: dict[str, Callable[[Job], nn.Module]] = {
    layer.__name__: layer
    for layer in (
        full, window, dilated, strided, fixed, blockwise, local_1d, local_2d, axial, etc, longformer, bigbird, lsh,
        reformer_local, linear, performer, rfa, linformer, synthesizer, memory_compressed, induced_set, routing,
        sinkhorn,
    )
}  # fmt: skip
HUGGING_FACE = ("longformer", "bigbird", "lsh")


def measure(job: Job) -> dict[str, Any]:
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    make = LAYERS[job["peer"]]
    if job["peer"] in HUGGING_FACE:
        import attention_hugging_face  # noqa: F401  part of the runtime, not of the layer
    baseline = memory_bytes("VmRSS")
    layer = make(job)
    x = torch.randn(1, job["length"], job["width"], requires_grad=True)
    weights = torch.randn(1, job["length"], job["width"])

    times: list[float] = []
    while len(times) < job["most"] + 1 and (len(times) < 2 or sum(times) < job["budgetMs"]):
        start = time.perf_counter()
        loss = (layer(x) * weights).sum()
        loss.backward()
        value = loss.item()
        times.append((time.perf_counter() - start) * 1000)
        del loss
        layer.zero_grad(set_to_none=True)
        x.grad = None
    return {
        "runMs": times[1:],
        "peakBytes": memory_bytes("VmHWM") - baseline,
        "parameters": sum(p.numel() for p in layer.parameters()),
        "value": value,
    }


def main() -> None:
    if sys.argv[1] == "check":
        from attention_check import check

        check()
        return
    job = json.loads(sys.argv[1])
    if job["peer"] not in LAYERS:
        sys.exit(3)
    print(json.dumps(measure(job)))


if __name__ == "__main__":
    main()
