import { describe, expect, it } from "vitest";
import { adviceOf } from "../../src/compare/text/advice.ts";
import { comparisonTables, renderTable } from "../../src/compare/text/table.ts";
import { listops, type Made, madeComparison, recall, richComparison, text } from "./measured-fixture.ts";

const rich = richComparison();
const onText = { ...rich, tasks: [text] };
const linear = { kind: "gpt", mixer: { kind: "linear" } };
/** Full attention against linear attention. */
const two = (task: typeof text, softmax: readonly number[], other: readonly number[], more: Partial<Made> = {}) =>
  madeComparison(
    [task],
    [
      { label: "softmax", scores: { [task.label]: softmax }, ...more },
      { label: "linear", model: linear, scores: { [task.label]: other }, ...more },
    ],
  );

describe("advice", () => {
  it("says what is gained and what is lost against full attention", () => {
    const advice = adviceOf(onText);
    expect(advice).toContain(
      "At 4,096 tokens on this machine (Example CPU, 2 cores) window=64 trains 3.9 × as fast as softmax, the full attention here, and takes 0.4 × its memory, for +0.013 in bits per character at length 512, which is worse (95 % interval +0.006 to +0.021).",
    );
    expect(advice).toContain(
      "Against softmax delta-net has +0.013 in bits per character at length 512, which three seeds cannot tell from 0 (95 % interval −0.038 to +0.065).",
    );
  });

  it("compares costs at the asked length", () => {
    expect(adviceOf(onText, { length: 1024 })).toContain(
      "At 1,024 tokens delta-net needs 1.8 × the training time of softmax and takes about the same memory, for +0.013 in bits per character at length 512, which three seeds cannot tell from 0 (95 % interval −0.038 to +0.065).",
    );
  });

  it("says when it is asked beyond what was measured", () => {
    const advice = adviceOf(onText, { length: 8192 });
    expect(advice).toContain(
      "Steps were not measured at 8,192 tokens, only at 512, 1,024, 2,048 and 4,096: costs above are those at 4,096. compare --measure-only --lengths 8192 measures them.",
    );
    expect(advice).toContain(
      "At 8,192 tokens, 16 × the training length, no bits per character was measured: what was said of quality holds for 512.",
    );
  });

  it("names the best, and the fronts", () => {
    const advice = adviceOf(onText);
    expect(advice[0]).toBe(
      "At length 512 softmax reaches 2.320 bits per character; delta-net and gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary cannot be told from it.",
    );
    expect(advice).toContain(
      "At 4,096 tokens the Pareto front (no other is both cheaper and as good) of bits per character against time: window=64 and softmax; against memory: linear, window=64 and softmax.",
    );
    expect(advice).toContain(
      "At 4,096 tokens, 8 × the training length and without training there, window=64 has the lowest bits per character, 2.340; softmax has 3.100.",
    );
    expect(adviceOf(two(text, [2, 2.01, 2.02], [2.5, 2.52, 2.51]))[0]).toBe(
      "At length 512 softmax is better than all others: 2.010 bits per character.",
    );
  });

  it("names tasks where there are several", () => {
    expect(adviceOf(rich)).toContain(
      "On recall · pairs=16 the smallest state among those that solve it (token accuracy of 0.95 or more) has delta-net: 70 kB a row, against 1 MB of softmax.",
    );
    const lsh = "gpt · lsh · mixer.rounds=4 · mixer.bucket-size=64 · position=rotary";
    const advice = adviceOf(rich);
    // Of lsh nothing shows that it learned recall.
    expect(advice[0]).toBe(
      `Of the two tasks, these are the best or cannot be told from it: softmax on two, delta-net on two and ${lsh} on one.`,
    );
    expect(advice).toContain(
      `On text against softmax, in bits per character: worse are window=64 (+0.013) and linear (+0.293); no difference is shown of delta-net and ${lsh}.`,
    );
    expect(advice.filter((sentence) => /^On (text|recall · pairs=16) /.test(sentence))).toHaveLength(advice.length - 2);
  });

  it("speaks of costs once where there are several tasks", () => {
    const mixers = ["softmax", "linear", "performer", "delta-net", "rfa", "lsh", "routing", "sinkhorn"];
    const labels = ["a", "b", "c", "d", "e", "f"];
    const tasks = labels.map((label) => ({ ...listops, label }));
    const comparison = madeComparison(
      tasks,
      mixers.map(
        (label, i): Made => ({
          label,
          model: { kind: "gpt", mixer: { kind: label } },
          scores: Object.fromEntries(labels.map((task) => [task, [0.9, 0.905, 0.91].map((score) => score - i / 20)])),
          rows: 512,
          steps: { 512: [2e4 - 1e3 * i, 4e8], 1024: [1e4 + 1e3 * i, 4e8] },
        }),
      ),
    );
    const advice = adviceOf(comparison);
    expect(advice[0]).toBe("Of the six tasks, these are the best or cannot be told from it: softmax on six.");
    expect(advice.filter((sentence) => sentence.includes("as fast as")).length).toBeLessThan(7);
    expect(advice.length).toBeLessThan(22);
    for (const { title, rows } of comparisonTables(comparison).tables)
      if (title.startsWith("All tasks")) expect(rows[0]!.slice(0, 3)).toEqual(["softmax", "0.905 (1)", "0.905 (1)"]);
    // As lines at both widths, not as a list for each variant.
    const [overview] = comparisonTables(comparison).tables;
    for (const columns of [80, 120])
      expect(renderTable(overview!, columns, (line) => line).split("\n").length).toBeLessThan(25);
  });

  it("says better or worse only where the interval excludes 0", () => {
    const cases = [
      two(text, [2, 2.1, 2.2], [2.1, 2.05, 2.3]),
      two(text, [2], [3]),
      two(text, [2, 2], [2, 2]),
      two(recall, [0.5, 0.9, 0.7], [0.6, 0.85, 0.4]),
    ];
    for (const comparison of cases) {
      const claims = adviceOf(comparison).filter((sentence) => /\b(better|worse|beats)\b/.test(sentence));
      expect(claims).toEqual([]);
    }
  });

  it("warns of one seed and of runs that are missing", () => {
    const advice = adviceOf({ ...two(text, [2.3], [2.2]), complete: false });
    expect(advice[0]).toBe(
      "At length 512 linear has the lowest figure, 2.200 bits per character; with one seed that may be chance.",
    );
    expect(advice).toContain("There is one seed: differences between variants may be chance. --seeds 3 tells more.");
    expect(advice.at(-1)).toBe("Not all runs were finished; the same command goes on from here.");
    expect(adviceOf(onText)).toContain("There is no figure of performer; the notes below the tables say why.");
  });

  it("warns of unequal parameters", () => {
    expect(adviceOf(rich).at(-1)).toBe(
      "Not equal to the others, which may be why they differ: delta-net (1.31 × the parameters of most).",
    );
  });

  it("says nothing of an order where nobody learned", () => {
    const chance = '0.170 accuracy of the baseline "most frequent class"';
    const remedy = "Give them more steps or another learning rate.";
    expect(adviceOf(two(listops, [0.17, 0.16, 0.18], [0.15, 0.17, 0.16]))).toEqual([
      `No variant learned listops under this budget (1,000 steps): none is better than what chance gives (${chance}). ${remedy}`,
    ]);
    // All seeds agree to 0.001, and linear is above the baseline: by less than 512 rows can tell.
    const steps = { 512: [20e3, 4e8] as const };
    const near = adviceOf(two(listops, [0.156, 0.157, 0.155], [0.177, 0.178, 0.176], { rows: 512, steps }));
    expect(near[0]).toBe(
      `No variant learned listops under this budget (1,000 steps): all are within what chance gives (${chance}, ± 0.046 with 512 test rows). ${remedy}`,
    );
    expect(near.slice(1)).toEqual([
      "At 512 tokens on this machine (Example CPU, 2 cores) linear trains about as fast as softmax, the full attention here, and takes about the same memory.",
    ]);
    expect(adviceOf(two(text, [4.5, 4.6, 4.4], [4.41, 4.4, 4.42]))).toEqual([
      `No variant learned text under this budget (1,000 steps): none is better than the baseline "unigram" with 4.400 bits per character. ${remedy}`,
    ]);
    expect(adviceOf(two(listops, [0.17, 0.9, 0.2], [0.15, 0.17, 0.16]))).toEqual([
      'No variant is shown to have learned listops under this budget (1,000 steps): softmax reaches 0.423 accuracy in the mean of 3 seeds, against 0.170 of the baseline "most frequent class", which may be chance. Give them more steps or more seeds.',
    ]);
    expect(adviceOf(two(listops, [0.8, 0.81, 0.82], [0.15, 0.17, 0.16]))).toContain(
      "Under this budget nothing shows that linear learned the task: it cannot be told from a baseline that does not look at the row.",
    );
  });

  it("says that figures are the same, and that few rows differ", () => {
    const steps = { 512: [20e3, 4e8] as const };
    const clause = (softmax: readonly number[], other: readonly number[]) =>
      adviceOf(two(listops, softmax, other, { rows: 512, steps }))
        .find((sentence) => sentence.includes("memory"))!
        .replace(/.*memory/, "");
    expect(clause([0.4, 0.41, 0.42], [0.41, 0.42, 0.4])).toBe(", at the same accuracy.");
    expect(clause([0.4], [0.4])).toBe(", at the same accuracy, with one seed.");
    expect(clause([0.4, 0.41, 0.42], [0.394, 0.404, 0.414])).toBe(
      ", for −0.006 in accuracy, which is about 3 test rows: too few to tell.",
    );
    expect(clause([0.4, 0.41, 0.42], [0.3, 0.31, 0.32])).toMatch(/^, for −0.100 in accuracy, which is worse \(95 %/);
    expect(adviceOf(two(text, [2, 2.1, 2.2], [2.2, 2, 2.1]))).toContain(
      "Against softmax linear has the same bits per character at length 512.",
    );
  });

  it("says what training on the task's inputs first has changed", () => {
    const mixers = ["softmax", "linear", "performer"];
    const said = (before: readonly number[][], after: readonly number[][]) =>
      adviceOf(
        madeComparison(
          [listops],
          mixers.map((label, i) => ({
            label,
            model: { kind: "gpt", mixer: { kind: label } },
            scores: { listops: before[i]! },
            pretrained: { listops: after[i]! },
            rows: 512,
          })),
        ),
      )
        .filter((sentence) => sentence.startsWith("Training on the task's own inputs first, under the same budget, "))
        .map((sentence) => sentence.slice("Training on the task's own inputs first, under the same budget, ".length));
    const plain = [
      [0.4, 0.41, 0.42],
      [0.3, 0.31, 0.32],
      [0.2, 0.25, 0.22],
    ];
    const later = [
      [0.5, 0.51, 0.52],
      [0.6, 0.61, 0.62],
      [0.2, 0.25, 0.23],
    ];
    expect(said(plain, later)).toEqual([
      "helps linear (+0.300) and softmax (+0.100) in accuracy; no change is shown of performer. The ranking does not survive it (Kendall's τ 0.333): linear is now before softmax.",
    ]);
    expect(said(plain, plain)).toEqual([
      "changes none of them beyond chance. The order of variants stays (Kendall's τ 1).",
    ]);
    expect(said([[0.4], [0.3], [0.2]], [[0.5], [0.6], [0.2]])[0]).toBe(
      "changes accuracy: linear (+0.300), softmax (+0.100) and performer (0.000), with one seed, which may be chance. The order changes (Kendall's τ 0.333): linear is now before softmax, with one seed, which may be chance.",
    );
    const chance = [
      [0.16, 0.15],
      [0.15, 0.15],
      [0.15, 0.16],
    ];
    expect(said(chance, chance)).toEqual([
      "changes nothing of this: no variant is shown to have learned the task with it either.",
    ]);
    expect(adviceOf(onText)).toContain(
      "Training on the task's own inputs first, under the same budget, helps window=64 (−0.047), softmax (−0.017) and linear (−0.110) in bits per character. The order changes (Kendall's τ 0.333): window=64 is now before softmax, but by no more than chance.",
    );
  });

  it("says when a task is too easy", () => {
    const advice = adviceOf(two(recall, [1, 1, 1], [1, 0.995, 1]));
    expect(advice).toEqual([
      "Every variant reaches token accuracy of 0.99 or more: recall · pairs=16 is too easy to rank them. Longer rows or more to remember may tell them apart.",
    ]);
  });

  it("speaks of costs alone where nothing was trained", () => {
    expect(adviceOf({ ...onText, runs: [], cells: [] })).toEqual(["There is no full attention here to compare with."]);
    expect(adviceOf({ ...onText, runs: [] }).slice(0, 2)).toEqual([
      "At 4,096 tokens on this machine (Example CPU, 2 cores) window=64 trains 3.9 × as fast as softmax, the full attention here, and takes 0.4 × its memory.",
      "At 4,096 tokens linear trains 2.5 × as fast as softmax and takes 0.28 × its memory.",
    ]);
    expect(adviceOf(madeComparison([text], []))).toEqual([]);
  });

  it("is careful with speeds that were measured while others were at work, and says so below the tables", () => {
    const busy = (othersShare: number) => ({
      ...onText,
      runs: [],
      costs: onText.costs.map(({ steps, ...whose }) => ({
        ...whose,
        steps: steps.map((step) => ("missing" in step ? step : { ...step, othersShare })),
      })),
    });
    const notes = (othersShare: number) => comparisonTables(busy(othersShare)).notes.join("\n");
    expect(adviceOf(busy(0.05))).toEqual(adviceOf({ ...onText, runs: [] }));
    expect(notes(0.05)).not.toContain("processors");
    expect(adviceOf(busy(0.4))[1]).toBe(
      "At 4,096 tokens linear trains about 2.5 × as fast as softmax and takes 0.28 × its memory.",
    );
    // 2.5 and 3.9 times may be chance where others had nine tenths.
    expect(adviceOf(busy(0.9))[1]).toBe(
      "At 4,096 tokens linear cannot be told from softmax in speed and takes 0.28 × its memory.",
    );
    expect(notes(0.4)).toContain("while steps were measured, other programs used up to 40 % of the processors");
  });

  it("names the cheapest of many where nothing was trained", () => {
    const steps = (speed: number, bytes: number) => ({ 4096: [speed, bytes] }) as const;
    const others = Array.from(
      { length: 8 },
      (_, i): Made => ({
        label: `m${i}`,
        model: linear,
        steps: steps(1000 * (i + 1), 1e9 - 1e8 * i),
      }),
    );
    const softmax: Made = { label: "softmax", steps: steps(2000, 8e8) };
    expect(adviceOf(madeComparison([text], [softmax, ...others]))).toEqual([
      "At 4,096 tokens on this machine (Example CPU, 2 cores), 6 of 8 train faster than softmax, the full attention here, and 5 take less memory, each by more than 10 %.",
      "The fastest are m7 (4 × as fast, 0.38 × the memory), m6 (3.5 × as fast, 0.5 × the memory), m5 (3 × as fast, 0.63 × the memory), m4 (2.5 × as fast, 0.75 × the memory), m3 (2 × as fast, 0.88 × the memory) and m2 (1.5 × as fast, 1 × the memory).",
      "The least memory take m7 (0.38 ×), m6 (0.5 ×), m5 (0.63 ×), m4 (0.75 ×), m3 (0.88 ×) and m2 (1 ×).",
    ]);
  });

  it("is short with many variants", () => {
    const many = Array.from(
      { length: 12 },
      (_, i): Made => ({
        label: `linear-${i}`,
        model: linear,
        scores: { text: [3 + i / 10, 3.01 + i / 10, 3.02 + i / 10] },
        steps: { 512: [5000 - 10 * i, 4e8 + i] },
      }),
    );
    const softmax: Made = { label: "softmax", scores: { text: [2, 2.01, 2.02] }, steps: { 512: [9000, 3e8] } };
    const advice = adviceOf(madeComparison([text], [softmax, ...many]));
    expect(advice).toContain("The tables have the other 12, which are told from the best and on no Pareto front.");
    expect(advice.length).toBeLessThan(6);
  });

  it("says that there is no full attention", () => {
    const both = [
      { label: "a", model: linear, scores: { text: [2, 2.01] } },
      { label: "b", model: { kind: "reformer" }, scores: { text: [2.5, 2.51] } },
    ];
    expect(adviceOf(madeComparison([text], both))).toContain("There is no full attention here to compare with.");
  });

  it("counts variants that are not equal where there are many", () => {
    const made = (count: number) =>
      madeComparison(
        [text],
        Array.from({ length: 10 }, (_, i) => ({
          label: `m${i}`,
          scores: { text: [2, 2.01] },
          ...(i < count && { unequal: ["2 × the parameters of most"] }),
        })),
      );
    const sentence = (count: number) => adviceOf(made(count)).find((one) => /[Nn]ot equal|not equal/.test(one));
    expect(sentence(3)).toMatch(/^Not equal to the others, which may be why they differ: m0 \(.*; m1 .*; m2 \(.*\)\.$/);
    expect(sentence(9)).toBe(
      "9 of 10 variants are not equal to the others, which may be why they differ: m0 (2 × the parameters of most); m1 (2 × the parameters of most); m2 (2 × the parameters of most); the tables mark all of them.",
    );
  });
});
