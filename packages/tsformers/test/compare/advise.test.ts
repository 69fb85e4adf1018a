import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseBytes } from "../../src/cli/advise.ts";
import { compareCommand } from "../../src/cli/compare.ts";
import { askedComparison, type CompareFlags } from "../../src/cli/compare-settings.ts";
import { main } from "../../src/cli/main.ts";
import type { Comparison } from "../../src/compare/results.ts";
import { answerOf, type Known, type Question } from "../../src/compare/statistics/advise.ts";
import { answerText } from "../../src/compare/text/advise-text.ts";
import { costsOf, recordsOf } from "../../src/store/records-of.ts";
import { listops, type Made, madeComparison, recall, richComparison, text } from "./measured-fixture.ts";

const folder = "compare-text-1a2b3c4d";
const knownOf = (comparison: ReturnType<typeof richComparison>, cpu = "Example CPU"): Known => ({
  costs: costsOf(comparison, folder),
  runs: recordsOf(comparison, folder),
  cpu,
});
const rich = knownOf(richComparison());
const say = (question: Question, known = rich) => answerText(answerOf(question, known), "runs");

const plain = (text: string) => text;
const quiet = { out: () => {}, write: () => {}, log: () => {}, columns: 100, unicode: true, bold: plain, dim: plain };

/** What a printed command asks for, read as the command line reads it. */
async function asked(command: string): Promise<ReturnType<typeof askedComparison>> {
  const [program, name, ...args] = command.split(" ");
  expect([program, name]).toEqual(["tsformers", "compare"]);
  let flags: CompareFlags | undefined;
  const parser = compareCommand(quiet).exitOverride();
  await parser
    .action((options: CompareFlags) => {
      flags = options;
    })
    .parseAsync(args, { from: "user" });
  return askedComparison(flags!);
}

/** Members with the costs of steps by length; all are as fast as each other but for a factor. */
function measured(members: readonly (readonly [label: string, model: Made["model"], factor: number])[], name = folder) {
  const comparison = madeComparison(
    [text],
    members.map(
      ([label, model, factor]): Made => ({
        label,
        ...(model && { model }),
        scores: { text: [2, 2.01, 2.02] },
        steps: Object.fromEntries([512, 1024, 2048].map((n) => [n, [factor * 1e4, 4e8 + 1e5 * n]])),
      }),
    ),
  );
  return { costs: costsOf(comparison, name), runs: recordsOf(comparison, name) };
}

const mixer = (kind: string, settings: Record<string, unknown> = {}): NonNullable<Made["model"]> => ({
  kind: "gpt",
  mixer: { kind },
  ...settings,
});

describe("an answer", () => {
  it("is what was measured, where it was", () => {
    const { variants } = answerOf({ length: 1024, task: "text" }, rich);
    expect(variants.map(({ variant, tokensPerSecond }) => [variant, tokensPerSecond.value])).toMatchObject([
      ["window=64", expect.closeTo(23_000, 6)],
      ["softmax", expect.closeTo(16_000, 6)],
      ["linear", expect.closeTo(15_000, 6)],
      ["delta-net", expect.closeTo(9000, 6)],
      [expect.stringContaining("lsh"), expect.closeTo(7000, 6)],
    ]);
    expect(variants[0]!.peakBytes).toEqual({ value: 500e6, basis: { kind: "measured" } });
    expect(variants.map(({ isReference }) => isReference)).toEqual([false, true, false, false, false]);
  });

  it("follows time and memory beyond what was measured", () => {
    // Seconds of a row 1e-5·n + 2e-9·n², and 4,096 tokens a step or one row: 1e8 + rows·(1e4·n + 10·n²) bytes.
    const cost = (n: number) => {
      const rows = Math.max(1, 4096 / n);
      return [1 / (1e-5 + 2e-9 * n), 1e8 + rows * (1e4 * n + 10 * n * n)] as const;
    };
    const steps = Object.fromEntries([1024, 2048, 4096, 8192].map((n) => [n, cost(n)]));
    const known = knownOf(madeComparison([text], [{ label: "softmax", steps, scores: { text: [2, 2, 2] } }]));
    const { tokensPerSecond, peakBytes } = answerOf({ length: 16_384 }, known).variants[0]!;
    expect(tokensPerSecond.value / cost(16_384)[0]).toBeCloseTo(1, 6);
    expect(peakBytes.value / cost(16_384)[1]).toBeCloseTo(1, 6);
    expect(tokensPerSecond).toMatchObject({ error: 0.1, basis: { kind: "beyond", fit: { points: 4, to: 8192 } } });
    // Two doublings further it may be wrong by twice as much.
    expect(answerOf({ length: 32_768 }, known).variants[0]!.tokensPerSecond.error).toBeCloseTo(0.2, 12);
    const between = answerOf({ length: 3000 }, known).variants[0]!;
    expect(between.tokensPerSecond.basis.kind).toBe("between");
    expect(between.peakBytes.value / cost(3000)[1]).toBeCloseTo(1, 6);
  });

  it("leaves out what needs too much, and keeps what may fit", () => {
    const { variants, leftOut } = answerOf({ length: 4096, task: "text", memoryBytes: 1.2e9 }, rich);
    expect(variants.map(({ variant }) => variant)).toEqual(["window=64", "linear"]);
    expect(leftOut).toMatchObject([
      { variant: "softmax", reason: "needs 2.5 GB" },
      { variant: "delta-net", reason: "at 4,096: a step needs about 3 GB, and 2 GB are free" },
      { reason: "needs 1.3 GB" },
    ]);
    const near = answerOf({ length: 8192, task: "text", memoryBytes: 4e9 }, rich).variants;
    expect(near.map(({ variant, mayNotFit }) => [variant.slice(0, 9), mayNotFit])).toEqual([
      ["window=64", false],
      ["linear", false],
      ["gpt · lsh", true],
    ]);
  });

  it("leaves out what is not causal", () => {
    const costs = rich.costs.map((cost) => ({
      ...cost,
      causal: cost.variant === "linear" ? false : cost.variant === "window=64" ? null : cost.causal,
    }));
    const { leftOut } = answerOf({ length: 1024, task: "text", causal: true }, { ...rich, costs });
    expect(leftOut).toEqual([
      { variant: "window=64", reason: "not known to be causal", isKnown: false },
      { variant: "linear", reason: "not causal", isKnown: true },
    ]);
    expect(answerOf({ length: 1024, task: "text" }, { ...rich, costs }).leftOut).toEqual([]);
  });

  it("knows the quality of the nearest training length", () => {
    const { variants, quality } = answerOf({ length: 1024, task: "text" }, rich);
    expect(quality).toEqual({
      metric: "bitsPerCharacter",
      metricLabel: "bits per character",
      baseline: 4.4,
      better: "lower",
      taskLabel: "text",
      trainLength: 512,
      steps: 1000,
      tokens: 1e6,
      seeds: 3,
      comparison: folder,
    });
    const [window, softmax] = variants;
    expect(window!.quality).toMatchObject({ isAmongBest: false, toReference: { verdict: "worse" }, atLength: 2.33 });
    expect(softmax!.quality).toMatchObject({ isAmongBest: true });
    expect(softmax!.quality).not.toHaveProperty("toReference");
  });

  it("says where nothing was learned", () => {
    const comparison = madeComparison(
      [listops],
      [
        { label: "softmax", scores: { listops: [0.18, 0.181, 0.182] }, rows: 512, steps: { 512: [20e3, 4e8] } },
        {
          label: "linear",
          model: { kind: "gpt", mixer: { kind: "linear" } },
          scores: { listops: [0.16, 0.161, 0.162] },
          rows: 512,
          steps: { 512: [2e3, 4e8] },
        },
      ],
    );
    const known = { costs: costsOf(comparison, folder), runs: recordsOf(comparison, folder) };
    expect(answerText(answerOf({ length: 512, task: "listops" }, known), "runs").advice[1]).toBe(
      "In accuracy after training at 512 none is shown to be better than an answer that does not look at the row (0.170): of quality nothing is known yet.",
    );
  });

  it("tells nothing from a difference of few test rows", () => {
    const scores = { "recall · pairs=16": [0.9, 0.9, 0.9] };
    const other = { "recall · pairs=16": [0.892, 0.892, 0.892] };
    const bestOf = (rows: number) => {
      const comparison = madeComparison(
        [recall],
        [
          { label: "softmax", scores, rows, steps: { 512: [20e3, 4e8] } },
          {
            label: "linear",
            model: { kind: "gpt", mixer: { kind: "linear" } },
            scores: other,
            rows,
            steps: { 512: [2e3, 4e8] },
          },
        ],
      );
      const known = { costs: costsOf(comparison, folder), runs: recordsOf(comparison, folder) };
      const { variants, quality } = answerOf({ length: 512, task: "recall" }, known);
      expect(quality!.metricLabel).toBe("token accuracy");
      return variants.filter((variant) => variant.quality!.isAmongBest).map(({ variant }) => variant);
    };
    expect(bestOf(512)).toEqual(["softmax", "linear"]);
    expect(bestOf(1024)).toEqual(["softmax"]);
  });

  it("prefers this machine, and compares nothing between machines or sizes", () => {
    const other = rich.costs.map((cost) => ({ ...cost, cpu: "Fast CPU", tokensPerSecond: 1e6 }));
    const costs = [...rich.costs, ...other];
    const here = answerOf({ length: 1024, task: "text" }, { ...rich, costs });
    expect(here.setup!.cpu).toBe("Example CPU");
    expect(here.elsewhere).toBe(1);
    const there = answerOf({ length: 1024, task: "text" }, { ...rich, costs, cpu: "Fast CPU" });
    expect(there.variants.every(({ tokensPerSecond }) => tokensPerSecond.value === 1e6)).toBe(true);
  });

  describe("of several comparisons", () => {
    const costsAt = (label: string, model: Made["model"], steps: Made["steps"]): Made => ({
      label,
      ...(model && { model }),
      ...(steps && { steps }),
      scores: { text: [2, 2.01, 2.02] },
    });
    /** The same comparison on a task with settings of its own. */
    const onTask = (comparison: Comparison, data: string): Comparison => {
      const task = { kind: "text", data };
      const runs = comparison.runs.map((run) => ({ ...run, config: { ...run.config, task } }));
      return { ...comparison, runs };
    };
    const join = (...all: [name: string, Comparison][]): Known => ({
      costs: all.flatMap(([name, comparison]) => costsOf(comparison, name)),
      runs: all.flatMap(([name, comparison]) => recordsOf(comparison, name)),
    });
    const wide = madeComparison(
      [text],
      [
        costsAt("softmax", mixer("softmax"), { 512: [43_800, 4e8], 1024: [30e3, 4e8] }),
        costsAt("window", { kind: "gpt", pattern: { kind: "window" } }, { 512: [42_400, 4e8], 1024: [35e3, 4e8] }),
        costsAt("performer", mixer("performer"), { 512: [20e3, 4e8], 1024: [20e3, 4e8] }),
      ],
    );
    const narrow = madeComparison(
      [text],
      [
        costsAt("softmax", mixer("softmax"), { 512: [37_700, 4e8] }),
        costsAt("linear", mixer("linear"), { 512: [41e3, 4e8] }),
      ],
    );
    const named = ({ variants }: ReturnType<typeof answerOf>) => variants.map(({ variant }) => variant);

    it("mixes no tasks of other settings, in costs or in quality", () => {
      const known = join(["wide", onTask(wide, "a.txt")], ["narrow", onTask(narrow, "b.txt")]);
      const answer = answerOf({ length: 512 }, known);
      expect(named(answer)).toEqual(["softmax", "window", "performer"]);
      expect(answer.variants.map(({ quality }) => quality?.figure.mean)).toEqual(Array(3).fill(expect.closeTo(2.01)));
      expect(answer).toMatchObject({
        elsewhere: 1,
        otherTasks: ["text · data=b.txt"],
        quality: { comparison: "wide" },
      });
      expect(answer.setup!.taskLabel).toBe("text · data=a.txt");
      expect(answerText(answer, "runs").advice[0]).toMatch(
        /^At 512 tokens softmax, full attention, is the fastest; window/,
      );
      expect(named(answerOf({ length: 512, task: "text · data=b.txt" }, known))).toEqual(["linear", "softmax"]);
    });

    it("takes what is compared from one of them, the one with the most", () => {
      const known = join(["wide", wide], ["narrow", { ...narrow, finishedAt: "2026-01-01T00:00:00.000Z" }]);
      const answer = answerOf({ length: 512 }, known);
      expect(
        answer.variants.map(({ variant, isApart, tokensPerSecond }) => [variant, isApart, tokensPerSecond.value]),
      ).toEqual([
        ["softmax", false, expect.closeTo(43_800)],
        ["window", false, expect.closeTo(42_400)],
        ["linear", true, expect.closeTo(41_000)],
        ["performer", false, expect.closeTo(20_000)],
      ]);
      // What full attention, which both have, differs by.
      expect(answer.variants[2]!.tokensPerSecond.error).toBeCloseTo(43_800 / 37_700 - 1);
      const { advice, notes } = answerText(answer, "runs");
      expect(advice[0]).toBe(
        "At 512 tokens softmax, full attention, is the fastest; window and linear may be as fast.",
      );
      expect(notes.join(" ")).toContain("Not measured beside the others, in one comparison at this length: linear.");
    });

    it("does not call a length too far at which some were measured", () => {
      const long = answerOf({ length: 1024 }, join(["wide", wide], ["narrow", narrow]));
      expect(answerText(long, "runs").advice[0]).toMatch(/^At 1,024 tokens window is the fastest: 1.2 × as fast/);
      // By a fit to shorter rows only; it seems the fastest.
      const short = costsAt("linear", mixer("linear"), { 64: [60e3, 4e8], 128: [60e3, 4e8] });
      const answer = answerOf({ length: 1024 }, join(["wide", wide], ["narrow", madeComparison([text], [short])]));
      expect(named(answer)[0]).toBe("linear");
      expect(answerText(answer, "runs").advice[0]).toBe(
        "At 1,024 tokens window is the fastest: 1.2 × as fast as softmax (full attention), with about the same memory; linear and softmax may be as fast.",
      );
    });
  });

  it("takes the newest of several measurements", () => {
    const later = rich.costs.map((cost) => ({
      ...cost,
      comparison: "compare-later",
      finishedAt: "2026-01-01T00:00:00.000Z",
      tokensPerSecond: cost.tokensPerSecond && 2 * cost.tokensPerSecond,
    }));
    const { variants, setup } = answerOf({ length: 1024, task: "text" }, { ...rich, costs: [...rich.costs, ...later] });
    expect(variants[0]!.tokensPerSecond.value).toBeCloseTo(46_000, 6);
    expect(setup!.comparisons).toEqual(["compare-later", folder]);
  });
});

describe("what is said", () => {
  it("names the fastest and those as good as the best", () => {
    const { advice, commands, notes } = say({ length: 1024, task: "text" });
    expect(advice.slice(0, 2)).toEqual([
      "At 1,024 tokens window=64 is the fastest: 1.4 × as fast as softmax (full attention), with 0.83 × its memory.",
      "Of those that three seeds cannot tell from the best of these in bits per character after training at 512, softmax is the fastest; the others are delta-net and gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary.",
    ]);
    expect(notes.join("\n")).not.toContain("~");
    expect(notes).toContain(
      "Quality: 3 seeds of 1,000 steps at length 512, not at 1,024: longer rows may need what is told here to be equal.",
    );
    expect(commands).toEqual([
      {
        command:
          "tsformers compare --task text --layers 4 --model-width 256 --pattern.before 64 --vary pattern=window,full --length 1024 --seeds 3",
        purpose: "trains window=64 and softmax at 1,024, to know what they lose",
      },
    ]);
  });

  it("says that it extrapolates, and how to measure", () => {
    const { advice, notes, commands, table } = say({ length: 8192, task: "text" });
    expect(advice[0]).toMatch(/^At 8,192 tokens window=64 is probably the fastest: 6.5 × as fast/);
    expect(notes[0]).toBe("Extrapolated: measured up to 4,096 tokens; the asked length is 2 × that.");
    expect(notes[1]).toMatch(
      /^~: .* It misses measured times by up to \d+ % and memory by up to \d+ %; without the longest length/,
    );
    expect(table!.rows[0]!.slice(0, 4)).toEqual(["window=64", "~22.9k", "~3.5 GB", "beyond 4,096, ± 10 %"]);
    expect(commands[0]!.command).toBe(
      "tsformers compare --config runs/compare-text-1a2b3c4d/settings.json --lengths 8192 --measure-only",
    );
  });

  it("does not make more of two lengths or one than they are", () => {
    const few = (most: number) => ({ ...rich, costs: rich.costs.filter(({ length }) => length <= most) });
    const two = say({ length: 8192, task: "text" }, few(1024));
    expect(two.notes).toContain("Without ±: a fit to two lengths, of which nobody knows how wrong it is.");
    expect(two.table!.rows.map((row) => row[3])).toEqual(Array(5).fill("beyond 1,024"));
    const one = say({ length: 8192, task: "text" }, few(512));
    expect(one.advice).toEqual(["Of five measured variants it is not known whether they suit 8,192 tokens on text."]);
    expect(one.notes[0]).toMatch(
      /^Left out: softmax, .*: measured at 512 only, and one length does not say how it grows\.$/,
    );
    expect(one).not.toHaveProperty("table");
  });

  it("says what is not known of quality", () => {
    expect(say({ length: 1024, task: "text" }, { ...rich, runs: [] }).notes).toContain(
      "What each loses in quality is not known: there are no runs of these variants on text.",
    );
    const one = { ...rich, runs: rich.runs.filter(({ seed }) => seed === 0) };
    expect(say({ length: 1024, task: "text" }, one).advice[1]).toBe(
      "In bits per character after training at 512 softmax is first, with one seed: that may be chance.",
    );
    expect(say({ length: 1024, task: "listops" }).notes[0]).toBe(
      "Nothing was measured on listops: times and memory are those on text, which rows of the same length share but for the vocabulary.",
    );
  });

  it("claims better only where it is told", () => {
    const made = (label: string, scores: number[], model: Made["model"]): Made => ({
      label,
      ...(model && { model }),
      scores: { text: scores },
      steps: { 512: [1e4, 4e8] },
    });
    const linear = { kind: "gpt", mixer: { kind: "linear" } };
    const clear = madeComparison(
      [text],
      [made("softmax", [2, 2.01, 2.02], undefined), made("linear", [2.5, 2.52, 2.51], linear)],
    );
    expect(say({ length: 512 }, knownOf(clear)).advice[1]).toBe(
      "In bits per character after training at 512 softmax is better than linear.",
    );
    const close = madeComparison(
      [text],
      [made("softmax", [2, 2.1, 2.2], undefined), made("linear", [2.1, 2.05, 2.3], linear)],
    );
    expect(say({ length: 512 }, knownOf(close)).advice.join("\n")).not.toContain("better");
  });

  it("does not name the fastest for certain where another may be as fast", () => {
    expect(say({ length: 512, task: "text" }).advice[0]).toBe(
      "At 512 tokens window=64 is the fastest: 1.1 × as fast as softmax (full attention), with about the same memory; softmax may be as fast.",
    );
  });

  it("gives no ratio too far from what was measured", () => {
    const first = (length: number, known: Known) => {
      const { advice, isTooFar } = say({ length, task: "text" }, known);
      expect(advice.join("\n")).not.toMatch(isTooFar ? /× as fast|is probably|is the fastest:/ : /too far/);
      return advice[0]!;
    };
    const upTo = (most: number) => ({ ...rich, costs: rich.costs.filter(({ length }) => length <= most) });
    expect(first(8192, rich)).toContain("× as fast as softmax");
    expect(first(8193, rich)).toBe(
      "8,193 tokens are too far from what was measured, 512 to 4,096, to say which is the fastest, and by how much: measure it first.",
    );
    expect(first(255, rich)).toContain("255 tokens are too far from what was measured, 512 to 4,096,");
    expect(first(2048, upTo(1024))).toContain("2,048 tokens are too far from what was measured at two lengths only");
    // Costs that jump are followed by no fit.
    const jumpy = {
      ...rich,
      costs: rich.costs.map((cost) => ({
        ...cost,
        tokensPerSecond: cost.tokensPerSecond && (cost.length === 4096 ? 0.2 : 1) * cost.tokensPerSecond,
      })),
    };
    expect(first(6000, jumpy)).toBe(
      "6,000 tokens are too far from what was measured to say which is the fastest, and by how much: measure it first. A fit may be wrong by 83 % there.",
    );
  });

  it("names each of several settings of one mixer, once", () => {
    const heads = (kind: string, heads: number) => mixer(kind, { heads });
    const known = [
      measured(
        [
          ["softmax", heads("softmax", 2), 1],
          ["linear", heads("linear", 2), 3],
        ],
        "two",
      ),
      measured(
        [
          ["softmax", heads("softmax", 4), 1.02],
          ["linear", heads("linear", 4), 2.95],
        ],
        "four",
      ),
    ];
    const runs = known[0]!.runs;
    const answer = answerOf({ length: 1024 }, { costs: known.flatMap(({ costs }) => costs), runs });
    expect(answer.variants.map(({ variant }) => variant).sort()).toEqual([
      "heads=2 · linear",
      "heads=2 · softmax",
      "heads=4 · linear",
      "heads=4 · softmax",
    ]);
    const { advice, notes } = answerText(answer, "runs");
    expect(advice[0]).toContain("heads=2 · linear is the fastest: 3 × as fast as heads=2 · softmax (full attention)");
    expect(advice[0]).toMatch(/; heads=4 · linear may be as fast\.$/);
    expect(notes).toContain("Quality is not known of heads=4 · linear and heads=4 · softmax.");
  });

  it("takes a model for the same whether or not the usual is said", () => {
    const known = [measured([["softmax", undefined, 1]], "a"), measured([["softmax", mixer("softmax"), 1]], "b")];
    expect(answerOf({ length: 1024 }, { costs: known.flatMap(({ costs }) => costs), runs: [] }).variants).toHaveLength(
      1,
    );
  });

  it("prints commands that include what it recommends", async () => {
    const known = [
      measured(
        [
          ["softmax", mixer("softmax"), 1],
          ["linear", mixer("linear"), 1.5],
        ],
        "with-settings",
      ),
      measured([["local", mixer("local"), 4]], "another"),
    ];
    const answer = answerOf({ length: 4096 }, { costs: known.flatMap(({ costs }) => costs), runs: known[0]!.runs });
    const { commands } = answerText(answer, "runs");
    expect(commands.map(({ command }) => command)).toEqual([
      expect.stringMatching(
        /^tsformers compare --task text .*--mixers local,linear,softmax --lengths 4096 --measure-only$/,
      ),
      expect.stringMatching(/^tsformers compare --task text .*--mixers local,linear,softmax --length 4096 --seeds 3$/),
    ]);
    const [measure, train] = await Promise.all(commands.map(({ command }) => asked(command)));
    expect(measure!.settings).toMatchObject({ measureOnly: true, lengths: [4096] });
    // No budget of shorter rows.
    expect(train!.settings).toMatchObject({ measureOnly: false, seeds: 3 });
    expect(train!.settings.budget).toBeUndefined();
    for (const { cells } of [measure!, train!]) {
      expect(cells.map(({ variant }) => variant)).toEqual(["local", "linear", "softmax"]);
      expect(cells.map(({ config }) => config.length)).toEqual([4096, 4096, 4096]);
      expect(cells.map(({ config }) => (config.model as { layers?: number }).layers)).toEqual([4, 4, 4]);
    }
  });

  it("goes on from a comparison where options cannot say what a model is", () => {
    const costs = rich.costs.map((cost) => ({ ...cost, config: null }));
    const runs = rich.runs.map((run) => ({ ...run, config: null }));
    expect(say({ length: 8192, task: "text" }, { costs, runs }).commands.map(({ command }) => command)).toEqual([
      "tsformers compare --config runs/compare-text-1a2b3c4d/settings.json --lengths 8192 --measure-only",
      "tsformers compare --config runs/compare-text-1a2b3c4d/settings.json --length 8192 --seeds 3 --budget-tokens 1000000",
    ]);
  });

  it("begins with commands where nothing is known", () => {
    const { advice, commands } = answerText(
      answerOf({ length: 8192, task: "listops" }, { costs: [], runs: [] }),
      "my runs",
    );
    expect(advice).toEqual(["No step has been measured in my runs yet, so nothing can be said of 8,192 tokens."]);
    expect(commands.map(({ command }) => command)).toEqual([
      "tsformers compare --measure-only --task listops --lengths 4096,8192 --out 'my runs'",
      "tsformers compare --task listops --length 8192 --mixers softmax,linear,delta-net --out 'my runs'",
    ]);
  });
});

describe("sizes", () => {
  it.each([
    ["4GB", 4e9],
    ["4GiB", 4 * 2 ** 30],
    ["500MB", 5e8],
    ["1.5 gb", 1.5e9],
    ["2G", 2e9],
    ["1000000", 1e6],
  ])("%s", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(["", "4XB", "GB", "-1GB", "0MB", "4 GB free"])("%j is none", (text) => {
    expect(() => parseBytes(text)).toThrow("Expected a size such as 4GB, 4GiB or 500MB.");
  });

  it.each(["4", "1KB"])("%j lacks its unit", (text) => {
    expect(() => parseBytes(text)).toThrow("Expected a size such as 4GB, 4GiB or 500MB; no step fits");
  });
});

describe("tsformers advise", () => {
  let store: string;
  /** In this process, and with a terminal that only remembers. */
  const runCli = async (args: readonly string[]): Promise<{ code: number; out: string; log: string }> => {
    const lines: string[] = [];
    const logged: string[] = [];
    const plain = (text: string) => text;
    const out = (text: string) => void lines.push(text);
    const terminal = {
      out,
      write: out,
      log: (text: string) => void logged.push(text),
      columns: 100,
      unicode: true,
      bold: plain,
      dim: plain,
    };
    return { code: await main(args, terminal), out: lines.join("\n"), log: logged.join("\n") };
  };
  beforeAll(async () => {
    store = await mkdtemp(join(tmpdir(), "advise-"));
    await mkdir(join(store, folder));
    await writeFile(join(store, folder, "results.json"), JSON.stringify(richComparison()));
    const compare = { vary: { mixer: ["softmax", "lsh"] }, budget: { kind: "flops", amount: 1e12 } };
    await writeFile(join(store, folder, "settings.json"), JSON.stringify({ compare }));
  });
  afterAll(() => rm(store, { recursive: true }));

  it("answers from a folder of comparisons", async () => {
    const { code, out } = await runCli([
      "advise",
      "--length",
      "8192",
      "--task",
      "text",
      "--memory",
      "4GB",
      "--causal",
      "--store",
      store,
    ]);
    expect(code).toBe(0);
    expect(out).toContain("At 8,192 tokens window=64 is probably the fastest.");
    expect(out.replace(/\s+/g, " ")).toContain("Left out, more than 4.0 GB: softmax (needs about 8.7 GB).");
    expect(out).toContain("To know more:\n  tsformers compare --task text ");
  });

  it("says the command first where it is too far from what was measured", async () => {
    const { out } = await runCli(["advise", "--length", "20000", "--task", "text", "--store", store]);
    const lines = out.split("\n");
    const command = lines.findIndex((line) => line.startsWith("  tsformers compare "));
    expect(lines.slice(0, command).join(" ")).toMatch(/^20,000 tokens are too far from what was measured, .*first\.$/);
    expect(out).not.toContain("To know more:");
  });

  it("prints JSON", async () => {
    const { code, out } = await runCli(["advise", "--length", "1024", "--task", "text", "--store", store, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      question: { length: 1024, task: "text" },
      setup: { taskLabel: "text", comparisons: [folder] },
      advice: [expect.stringContaining("window=64"), expect.stringContaining("Of those that three seeds cannot tell")],
    });
  });

  it.each([1024, 3000, 8192, 16_384])("prints commands that can be run, at %i", async (length) => {
    for (const task of ["text", "listops"]) {
      const { commands } = answerText(answerOf({ length, task }, rich), store);
      for (const { command } of commands) {
        const { cells, settings } = await asked(command);
        expect(cells.length).toBeGreaterThan(1);
        expect(settings.measureOnly ? settings.lengths : [cells[0]!.config.length]).toContain(length);
        // Never that of the settings, which is made for their own rows.
        if (!settings.measureOnly) expect(settings.budget?.kind).not.toBe("flops");
      }
    }
  });

  it("works without any runs", async () => {
    await mkdir(join(store, "none"));
    const { code, out } = await runCli(["advise", "--length", "64", "--store", join(store, "none")]);
    expect(code).toBe(0);
    expect(out).toContain("tsformers compare --measure-only --task text --lengths 32,64");
  });

  it("says what is wrong with its flags", async () => {
    expect((await runCli(["advise", "--length", "64", "--memory", "many"])).code).toBe(2);
    expect((await runCli(["advise"])).code).toBe(2);
    expect((await runCli(["advise", "--length", "64", "--store", join(store, "nowhere")])).code).toBe(2);
    const { code, log } = await runCli(["advise", "--length", "64", "--task", "recal", "--store", store]);
    expect(code).toBe(2);
    expect(log).toContain('--task: unknown task "recal"; did you mean "recall"?');
  });
});
