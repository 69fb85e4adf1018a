import { describe, expect, test } from "vitest";
import { compareRow, median } from "../bench.ts";
import { measureInTurn, type Side } from "../child.ts";
import { checkStep } from "../gpt-step.ts";
import { formatNumber, formatTable } from "../table.ts";
import { parameterCount, smallGpt, syntheticBatch } from "../workload.ts";

/** A side that runs a line of JavaScript in a fresh Node. */
function scriptSide(name: string, script: string, missing: string | null = null): Side {
  return { name, command: process.execPath, arguments: ["-e", script], missing: () => missing };
}

describe("rows", () => {
  test("a ratio above 1 means ours is better, whichever direction is good", () => {
    expect(compareRow("b", "step", "ms", "lower", 100, 200, "p").ratio).toBe(2);
    expect(compareRow("b", "speed", "tokens/s", "higher", 100, 200, "p").ratio).toBe(0.5);
    expect(compareRow("b", "step", "ms", "lower", null, 200, "p").ratio).toBeNull();
  });

  test("median of odd and even counts, and of none", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(() => median([])).toThrow("got none");
  });

  test("the table is aligned and shows missing numbers as dashes", () => {
    const lines = formatTable([
      compareRow("a", "step", "ms", "lower", 12.345, 1234.5, "peer"),
      compareRow("longer name", "step", "ms", "lower", null, null, null),
    ]).split("\n");
    expect(lines[1]).toContain("12.3");
    expect(lines[1]).toContain("100.00×");
    expect(lines[2]).toContain("–");
    const column = lines[0]!.indexOf("metric");
    expect(lines.slice(1).map((line) => line.indexOf("step"))).toEqual([column, column]);
    expect(formatNumber(0.1234)).toBe("0.123");
  });
});

describe("children", () => {
  const counting = (name: string): Side => scriptSide(name, `console.log("noise"); console.log('{"side":"${name}"}')`);

  test("sides are measured in turn, each round in a fresh process", async () => {
    const order: string[] = [];
    const pids = scriptSide("pids", "console.log(process.pid)");
    const results = await measureInTurn([counting("a"), counting("b"), pids], 2, (result, side) => {
      order.push(side.name);
      return result;
    });
    expect(order).toEqual(["a", "b", "pids", "a", "b", "pids"]);
    expect(results[0]).toEqual([{ side: "a" }, { side: "a" }]);
    expect(new Set(results[2]).size).toBe(2);
  });

  test("absent and unavailable sides have no results and stop nothing", async () => {
    const sides = [scriptSide("absent", "", "not installed"), scriptSide("later", "process.exit(3)"), counting("c")];
    const results = await measureInTurn(sides, 1, (result) => result);
    expect(results).toEqual([[], [], [{ side: "c" }]]);
  });

  test("a side that fails is dropped and the run ends with an error code", async () => {
    const before = process.exitCode;
    const sides = [scriptSide("broken", "throw new Error('no')"), scriptSide("mute", ""), counting("c")];
    const results = await measureInTurn(sides, 1, (result) => result);
    const after = process.exitCode;
    process.exitCode = before;
    expect(results).toEqual([[], [], [{ side: "c" }]]);
    expect(after).toBe(1);
  });
});

describe("workload", () => {
  test("parameters of the two sizes are those that the PyTorch model counts", () => {
    expect(parameterCount(smallGpt)).toBe(3_241_728);
    expect(parameterCount({ ...smallGpt, width: 512, layers: 6, length: 512 })).toBe(19_210_752);
  });

  test("targets are the tokens one place on", () => {
    const { tokens, targets } = syntheticBatch({ ...smallGpt, batch: 2, length: 16 });
    expect(tokens.slice(1, 16)).toEqual(targets.slice(0, 15));
    expect(tokens.slice(17)).toEqual(targets.slice(16, 31));
    expect(Math.max(...tokens)).toBeLessThan(65);
  });

  test("a step that does not train is refused", () => {
    const workload = { ...smallGpt, steps: 2 };
    const good = { stepMs: [1, 1], loss: [4.2, 4, 3], parameters: parameterCount(workload) };
    const side = { name: "s" };
    expect(checkStep(good, workload, side)).toBe(good);
    expect(() => checkStep({ ...good, parameters: 1 }, workload, side)).toThrow("parameters, got 1");
    expect(() => checkStep({ ...good, loss: [9, 3] }, workload, side)).toThrow("first loss");
    expect(() => checkStep({ ...good, loss: [4.2, 4.3] }, workload, side)).toThrow("to fall");
    expect(() => checkStep({ ...good, loss: [4.2, Number.NaN] }, workload, side)).toThrow("to fall");
    expect(() => checkStep({ ...good, stepMs: [1] }, workload, side)).toThrow("2 timed steps, got 1");
  });
});
