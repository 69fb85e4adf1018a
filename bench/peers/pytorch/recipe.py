"""One child process of the recipe bench: trains as ours does and prints seconds and validation loss as one JSON line."""

import json
import math
import sys
import time
from pathlib import Path

import torch
from torch import nn

from gpt import Gpt, read_workload


def main() -> None:
    job, workload = json.loads(sys.argv[1]), read_workload()
    torch.set_num_threads(workload.threads)
    torch.manual_seed(0)
    text = Path(job["file"]).read_text()
    ids = {character: index for index, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([ids[character] for character in text])
    cut = int(0.9 * len(tokens))
    training, validation = tokens[:cut], tokens[cut:]
    length, rate = workload.length, job["rate"]

    model = Gpt(workload)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": job["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate["peak"], betas=tuple(job["betas"]), fused=True)

    def rate_at(step: int) -> float:
        if step < rate["warmupSteps"]:
            return rate["peak"] * step / rate["warmupSteps"]
        done = (step - rate["warmupSteps"]) / (workload.steps - rate["warmupSteps"])
        return rate["last"] + 0.5 * (rate["peak"] - rate["last"]) * (1 + math.cos(math.pi * done))

    start = time.perf_counter()
    for step in range(workload.steps):
        places = torch.randint(len(training) - length - 1, (workload.batch,)).tolist()
        inputs = torch.stack([training[at : at + length] for at in places])
        targets = torch.stack([training[at + 1 : at + 1 + length] for at in places])
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step + 1)
        loss = model(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), job["clipNorm"])
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        loss.item()
    seconds = time.perf_counter() - start

    evaluated, losses = 96, []
    whole = (len(validation) - 1) // length
    with torch.inference_mode():
        for row in range(0, whole - evaluated + 1, evaluated):
            part = validation[row * length : (row + evaluated) * length + 1]
            losses.append(model(part[:-1].view(evaluated, length), part[1:].view(evaluated, length)).item())
    validation_loss = sum(losses) / len(losses)
    print(json.dumps({"seconds": seconds, "validationLoss": validation_loss, "version": f"PyTorch {torch.__version__}"}))


if __name__ == "__main__":
    main()
