import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { spreadOf } from "../../src/compare/execution/measure-steps.ts";
import { watchLoad } from "../../src/compare/execution/watch-load.ts";

it("the spread of a measurement is how far its thirds lie apart", () => {
  expect(spreadOf([10, 10, 50, 10, 10, 10, 10, 10, 10])).toBe(0);
  expect(spreadOf([10, 10, 10, 20, 20, 20, 40, 40, 40])).toBe(30 / 20);
  expect(spreadOf([10, 20])).toBeUndefined();
});

const all = cpus().length;

it.runIf(availableParallelism() === all)("others are seen at work, and this process is not one of them", async () => {
  const child = spawn(process.execPath, ["-e", "console.log('up'); for (;;);"]);
  await once(child.stdout, "data");
  try {
    const others = watchLoad();
    await sleep(500);
    // One processor of all; half of that on a machine with more to do.
    expect(others()).toBeGreaterThan(0.5 / all);
  } finally {
    child.kill("SIGKILL");
  }
  const [others, own, start] = [watchLoad(), process.cpuUsage(), performance.now()];
  while (performance.now() - start < 500);
  const { user, system } = process.cpuUsage(own);
  const ownShare = (user + system) / 1000 / (performance.now() - start) / all;
  expect(others()).toBeLessThan(1 - ownShare + 0.1);
  expect(watchLoad()()).toBeUndefined();
});
