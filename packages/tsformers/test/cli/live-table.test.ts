import { describe, expect, it } from "vitest";
import { openLiveTable } from "../../src/cli/live-table.ts";
import type { ItemOutcome, WorkItem } from "../../src/compare/execution/run-comparison.ts";

const run = (variant: string, seed = 0): WorkItem => ({ kind: "run", task: "copy", variant, seed, pretrained: false });
const result = (reused = false) =>
  ({ result: { metrics: { loss: 1.25, tokenAccuracy: 0.5 }, seconds: 12 }, reused }) as unknown as ItemOutcome;
const state = (step: number) => ({
  kind: "step" as const,
  step,
  totalSteps: 10,
  loss: 2,
  tokensPerSecond: 1000,
  secondsLeft: 5,
});

/** Moves to the beginning of the table. */
const upwards = new RegExp(`${String.fromCharCode(27)}\\[\\d*A\\r?`, "g");

function table(stream: { isTTY?: boolean; columns?: number; rows?: number }) {
  let written = "";
  let now = 0;
  const live = openLiveTable({
    stream: { ...stream, write: (text: string) => (written += text) },
    environment: { NO_COLOR: "1" },
    now: () => now,
  });
  return {
    ...live,
    after: (ms: number) => {
      now += ms;
    },
    take: () => {
      const text = written;
      written = "";
      return text;
    },
  };
}

describe("on a terminal", () => {
  it("redraws finished cells, bars of those at work, and how long the rest may take", () => {
    const live = table({ isTTY: true, columns: 60, rows: 24 });
    live.show({ kind: "planned", items: 4, jobs: 2, folder: "out/compare-copy" });
    expect(live.take()).toContain("4 pieces of work, 2 at a time, in out/compare-copy\n");
    live.show({ kind: "started", item: run("softmax") });
    live.show({ kind: "started", item: run("linear") });
    live.after(1000);
    live.show({ kind: "message", item: run("softmax"), message: state(5) });
    const drawn = live.take();
    expect(drawn).toContain("softmax on copy, seed 0");
    expect(drawn).toContain("50%");
    live.after(9000);
    live.show({ kind: "ended", item: run("softmax"), outcome: result() });
    const ended = live.take();
    expect(ended).toContain("softmax on copy  loss 1.250, 0.500");
    expect(ended).toContain("1 of 4 done in 10 s, about 30 s left");
    expect(ended).not.toContain("softmax on copy, seed 0\n");
    live.show({ kind: "ended", item: run("linear"), outcome: { failure: "no memory" } });
    expect(live.take()).toContain("linear on copy, seed 0: failed: no memory\n");
  });

  it("never writes a line that wraps, nor more lines than the screen has", () => {
    const live = table({ isTTY: true, columns: 30, rows: 8 });
    live.show({ kind: "planned", items: 50, jobs: 1, folder: "a/folder/with/a/rather/long/name" });
    live.take();
    for (let i = 0; i < 20; i++) {
      live.show({ kind: "started", item: run(`variant-with-a-long-name-${i}`) });
      live.after(200);
      live.show({ kind: "message", item: run(`variant-with-a-long-name-${i}`), message: state(i % 10) });
      live.show({ kind: "ended", item: run(`variant-with-a-long-name-${i}`), outcome: result() });
      const screens = live.take().split("\u001b[J");
      for (const screen of screens.slice(1)) {
        const lines = screen.replace(upwards, "").split("\n").slice(0, -1);
        expect(lines.length).toBeLessThan(8);
        for (const line of lines) expect(line.length).toBeLessThan(30);
      }
    }
  });

  it("counts the rest by what was made now, not by what was there already", () => {
    const live = table({ isTTY: true, columns: 80, rows: 24 });
    live.show({ kind: "planned", items: 3, jobs: 1, folder: "out" });
    live.show({ kind: "ended", item: run("a"), outcome: result(true) });
    expect(live.take()).not.toContain("left");
    live.after(20_000);
    live.show({ kind: "ended", item: run("b"), outcome: result() });
    expect(live.take()).toContain("2 of 3 done in 20 s, about 20 s left");
  });
});

describe("elsewhere", () => {
  it("writes a line for each end, and one of progress from time to time", () => {
    const live = table({});
    live.show({ kind: "planned", items: 2, jobs: 1, folder: "out" });
    live.show({ kind: "started", item: run("a", 3) });
    live.show({ kind: "message", item: run("a", 3), message: state(1) });
    live.take();
    live.after(10_000);
    live.show({ kind: "message", item: run("a", 3), message: state(2) });
    live.show({ kind: "message", item: run("a", 3), message: state(3) });
    expect(live.take().match(/step/g)).toHaveLength(1);
    live.show({ kind: "ended", item: run("a", 3), outcome: result(true) });
    const costs = {
      costs: [
        { length: 8, missing: "" },
        { length: 16, missing: "" },
      ],
      reused: false,
    };
    live.show({ kind: "ended", item: { kind: "cost", task: "copy", variant: "a" }, outcome: costs });
    expect(live.take()).toBe(
      "[1/2] a on copy, seed 3: loss 1.250, 0.500 in 12 s (taken from an earlier call)\n[2/2] a on copy, cost of a step: measured at 8, 16\n",
    );
  });
});
