import { describe, expect, it } from "vitest";

import { openProgress, type ProgressState, renderBar, renderLine } from "../../src/train/progress.ts";

const state: ProgressState = { step: 250, totalSteps: 1000, loss: 2.34567, tokensPerSecond: 45_230, secondsLeft: 190 };

describe("renderLine", () => {
  it("names everything", () => {
    expect(renderLine(state)).toBe("step 250/1000 · loss 2.3457 · 45.2k tokens/s · 3m10s left");
  });
  it.each([
    [0, "0s"],
    [59.6, "1m00s"],
    [3600, "1h00m"],
    [90_000, "1d01h"],
    [Number.POSITIVE_INFINITY, "?"],
  ])("writes %d seconds as %s", (secondsLeft, text) => {
    expect(renderLine({ ...state, secondsLeft })).toContain(` ${text} left`);
  });
  it.each([
    [12.3, "12"],
    [999.7, "1.0k"],
    [999_960, "1.0M"],
    [Number.NaN, "?"],
  ])("writes %d tokens/s as %s", (tokensPerSecond, text) => {
    expect(renderLine({ ...state, tokensPerSecond })).toContain(` ${text} tokens/s`);
  });
});

describe("renderBar", () => {
  it("shows a bar in proportion and every measurement where there is room", () => {
    const line = renderBar(state, 120);
    expect(line).toBe(`${"█".repeat(8)}${"░".repeat(22)}  25%  250/1000  loss 2.3457  45.2k tokens/s  3m10s left`);
  });

  it("fits every width, drops measurements from the right, and the bar where no room is left", () => {
    for (let columns = 0; columns <= 200; columns++) {
      expect(renderBar(state, columns).length).toBeLessThanOrEqual(Math.max(columns - 1, 0));
    }
    expect(renderBar(state, 60)).toBe(" 25%  250/1000  loss 2.3457  45.2k tokens/s  3m10s left");
    expect(renderBar(state, 40)).toBe(`${"█".repeat(3)}${"░".repeat(8)}  25%  250/1000  loss 2.3457`);
    expect(renderBar(state, 6)).toBe(" 25%");
  });

  it("is full at the end, and whole when there was nothing to do", () => {
    expect(renderBar({ ...state, step: 1000 }, 120)).toMatch(/^█{30} 100%/);
    expect(renderBar({ ...state, step: 0, totalSteps: 0 }, 120)).toContain("100%");
  });

  it("takes no more room with colours", () => {
    const colored = renderBar(state, 80, { color: true });
    expect(colored).toContain("\u001b[");
    const plain = ["\u001b[36m", "\u001b[2m", "\u001b[0m"].reduce((text, code) => text.replaceAll(code, ""), colored);
    expect(plain).toBe(renderBar(state, 80));
  });
});

describe("openProgress", () => {
  const record = (isTTY: boolean, environment: Record<string, string> = {}, columns = 100) => {
    let timeMs = 0;
    const written: string[] = [];
    const stream = { isTTY, columns, write: (text: string) => written.push(text) };
    const progress = openProgress({ stream, environment, now: () => timeMs });
    return { progress, written, stream, wait: (ms: number) => (timeMs += ms) };
  };

  it("elsewhere than on a terminal: whole lines, not too many, no control characters", () => {
    const { progress, written, wait } = record(false);
    for (let i = 0; i < 25; i++) {
      progress.update(state);
      wait(1000);
    }
    progress.log("saved");
    progress.done({ ...state, step: 1000 });
    expect(written).toHaveLength(5);
    for (const control of ["\r", "\u001b"]) expect(written.join("")).not.toContain(control);
    expect(written.every((line) => line.endsWith("\n"))).toBe(true);
    expect(written.at(-1)).toMatch(/^step 1000\/1000/);
  });

  it("on a terminal: redraws in place, at most ten times a second, at its present width", () => {
    const { progress, written, stream, wait } = record(true);
    for (let i = 0; i < 100; i++) {
      progress.update(state);
      wait(10);
    }
    expect(written).toHaveLength(10);
    expect(written.every((text) => text.startsWith("\r\u001b[2K") && !text.includes("\n"))).toBe(true);
    stream.columns = 20;
    progress.update(state);
    expect(written.at(-1)).toBe("\r\u001b[2K 25%  250/1000");
    progress.log("saved");
    expect(written.at(-1)).toBe("\r\u001b[2Ksaved\n 25%  250/1000");
    progress.done();
    expect(written.at(-1)).toBe("\n");
  });

  it("respects NO_COLOR, but not when empty, and TERM=dumb", () => {
    const first = (environment: Record<string, string>): string => {
      const { progress, written } = record(true, environment);
      progress.update(state);
      return written[0]!;
    };
    expect(first({})).toContain("\u001b[36m");
    expect(first({ NO_COLOR: "" })).toContain("\u001b[36m");
    expect(first({ NO_COLOR: "1" })).not.toContain("\u001b[36m");
    expect(first({ TERM: "dumb" })).toBe(`${renderLine(state)}\n`);
  });
});
