import {
  add,
  type Concrete,
  compile,
  concat,
  constant,
  exp,
  expandDims,
  matmul,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  reshape,
  slice,
  sub,
  sum,
  type Tensor,
  toOnnx,
  traceBody,
  uniform,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import {
  linearRecurrence,
  type RecurrenceInput,
  recurrenceWeights,
} from "../../src/attention/recurrent/linear-recurrence.ts";
import { runRecurrence } from "../../src/attention/recurrent/run-recurrence.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, heads, keyWidth, valueWidth] = [2, 3, 4, 5];

type Given = RecurrenceInput & { readonly state: Tensor };

/** `S_t = diag(α_t)·S_{t−1} + k_t ⊗ u_t`, `y_t = q_t·S_t`, one position after the other as it is written. */
function defined({ q, k, v, logDecay, beta, state }: Given): { mixed: Tensor; state: Tensor } {
  const length = q.shape[2]!;
  const row = (x: Tensor, at: number) => slice(x, 2, at, at + 1);
  const rows: Tensor[] = [];
  let memory = state;
  for (let at = 0; at < length; at++) {
    const [query, key, value] = [row(q, at), row(k, at), row(v, at)];
    if (logDecay !== undefined) {
      const decay = exp(row(logDecay, at));
      memory = mul(memory, reshape(decay, [decay.shape[0]!, heads, -1, 1]));
    }
    const written = beta === undefined ? value : mul(sub(value, matmul(key, memory)), expandDims(row(beta, at), -1));
    memory = add(memory, matmul(key, written, { transposeA: true }));
    rows.push(matmul(query, memory));
  }
  return { mixed: concat(rows, 2), state: memory };
}

const drawn = (seed: number, shape: readonly number[], deviation = 0.6): NDArray =>
  normal(randomKey(seed), shape, { deviation });

/** Logarithms of gates: some are 0, some tiny, some −10 or −30, as they come. */
function gates(seed: number, shape: readonly number[], usual: boolean): NDArray {
  const values = uniform(randomKey(seed), shape, { low: 0, high: 1 }).toNumbers();
  const extreme = [0, -1e-3, -0.3, -10, -30];
  return ndarray(
    Float32Array.from(values, (x) => (usual ? -x : extreme[Math.floor(x * extreme.length)]!)),
    shape,
  );
}

/** Shares of errors that are corrected; 2 turns a value around. */
const shares = (length: number) => uniform(randomKey(5), [batch, heads, length], { low: 0, high: 1.2 });

/** What the members of the kind have beside queries, keys and values. */
const members: Readonly<
  Record<string, (length: number, usual: boolean) => Partial<Record<"logDecay" | "beta", NDArray>>>
> = {
  "sums, as linear attention": () => ({}),
  "one decay a head, as retention": (length) => ({
    logDecay: ndarray(
      Float32Array.from({ length: heads * length }, (_, i) => Math.log1p(-(2 ** (-5 - Math.floor(i / length))))),
      [1, heads, length],
    ),
  }),
  "a decay a feature, as GLA": (length, usual) => ({ logDecay: gates(4, [batch, heads, length, keyWidth], usual) }),
  "corrections, as DeltaNet": (length) => ({ beta: shares(length) }),
  "corrections and a decay a token, as gated DeltaNet": (length, usual) => ({
    logDecay: gates(4, [batch, heads, length], usual),
    beta: shares(length),
  }),
  "corrections and a decay a feature": (length, usual) => ({
    logDecay: gates(4, [batch, heads, length, keyWidth], usual),
    beta: shares(length),
  }),
};

type Pass = (given: Given) => { readonly mixed: Tensor; readonly state: Tensor };

/** Outputs, the state after them, and gradients of a fixed random sum of both by every input. */
async function outputsAndGradients(pass: Pass, given: Record<string, NDArray>): Promise<Record<string, number[]>> {
  const both = valueAndGradWithExtra((of: Given) => {
    const { mixed, state } = pass(of);
    const weighed = (x: Tensor, seed: number) => sum(mul(x, constant(drawn(seed, x.shape, 1))));
    return [add(weighed(mixed, 8), weighed(state, 9)), { mixed, state }] as const;
  });
  const compiled = compile((of: Given) => both(of), { device });
  const found = await readTree(await compiled(given as never));
  const { extra, gradient } = found as unknown as Record<"extra" | "gradient", Record<string, NDArray>>;
  await compiled.release();
  const of = (name: string, arrays: Record<string, NDArray>) =>
    Object.entries(arrays).map(([key, array]) => [`${name}${key}`, array.toNumbers()] as const);
  return Object.fromEntries([...of("", extra), ...of("gradient of ", gradient)]);
}

function expectClose(found: Record<string, number[]>, expected: Record<string, number[]>): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, values] of Object.entries(expected)) {
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    // `!(… < …)` also catches what is no number.
    const off = found[name]!.filter((value, i) => !(Math.abs(value - values[i]!) < 2e-5 * scale));
    expect(off, name).toEqual([]);
    expect(found[name]!.length, name).toBe(values.length);
  }
}

describe.each(Object.entries(members))("%s", (_, further) => {
  const inputs = (length: number, usual = true): Record<string, NDArray> => ({
    q: drawn(1, [batch, heads, length, keyWidth]),
    k: drawn(2, [batch, heads, length, keyWidth], 0.4),
    v: drawn(3, [batch, heads, length, valueWidth]),
    state: drawn(6, [batch, heads, keyWidth, valueWidth]),
    ...further(length, usual),
  });

  test.each([
    [1, [1, 32]],
    [23, [1, 5, 16]],
    [32, [8, 32]],
  ])("%i positions in chunks of any width are as defined, gradients too", async (length, chunks) => {
    const given = inputs(length);
    const expected = await outputsAndGradients(defined, given);
    for (const chunk of chunks) {
      const pass: Pass = ({ state, ...input }) => linearRecurrence(input, { state, chunk });
      expectClose(await outputsAndGradients(pass, given), expected);
    }
  });

  test("ONNX Runtime's operator gives the same, and the chunks its gradients", async () => {
    const given = inputs(23);
    const pass: Pass = ({ state, ...input }) => runRecurrence(input, { state, chunk: 8 });
    expectClose(await outputsAndGradients(pass, given), await outputsAndGradients(defined, given));
  });

  test("the operator is in what ONNX Runtime runs, and no portable model has it", () => {
    const { state: _, ...given } = inputs(4);
    const { program } = traceBody(Object.values(given), (arrays) => {
      const names = Object.keys(given);
      return runRecurrence(Object.fromEntries(arrays.map((x, i) => [names[i], x])) as never).mixed;
    });
    const operators = (portable: boolean) => toOnnx(program, { portable }).graph.nodes.map(({ op }) => op);
    expect(operators(false).filter((op) => op === "LinearAttention" || op === "Scan")).toEqual(["LinearAttention"]);
    expect(operators(true)).not.toContain("LinearAttention");
  });

  test("gates of −30 overflow nowhere and lose nothing", async () => {
    const given = inputs(20, false);
    const pass: Pass = ({ state, ...input }) => linearRecurrence(input, { state, chunk: 8 });
    expectClose(await outputsAndGradients(pass, given), await outputsAndGradients(defined, given));
  });

  test("goes on where it stopped", async () => {
    const given = inputs(23);
    const pass: Pass = ({ state, ...input }) => {
      const part = (from: number, to?: number) =>
        Object.fromEntries(Object.entries(input).map(([name, x]) => [name, slice(x, 2, from, to)])) as never;
      const first = linearRecurrence(part(0, 9), { state, chunk: 4 });
      const second = linearRecurrence(part(9), { state: first.state, chunk: 8 });
      return { mixed: concat([first.mixed, second.mixed], 2), state: second.state };
    };
    expectClose(await outputsAndGradients(pass, given), await outputsAndGradients(defined, given));
  });

  test("its weights mix values to what comes out, and none of them belongs to a later position", async () => {
    const { state: _, ...given } = inputs(23);
    const run = compile(
      (input: RecurrenceInput) => {
        const weights = recurrenceWeights(input, 8);
        return { weights, found: matmul(weights, input.v), expected: linearRecurrence(input, { chunk: 8 }).mixed };
      },
      { device },
    );
    const { weights, found, expected } = (await readTree(await run(given as never))) as unknown as Concrete<
      Record<"weights" | "found" | "expected", Tensor>
    >;
    expectClose({ y: found.toNumbers() }, { y: expected.toNumbers() });
    const ahead = weights.toNumbers().filter((weight, i) => i % 23 > Math.floor(i / 23) % 23 && weight !== 0);
    expect(ahead).toEqual([]);
    await run.release();
  });
});
