import {
  add,
  type Concrete,
  concat,
  constant,
  type Device,
  evaluate,
  fromNumbers,
  isNdArray,
  isTensor,
  mapTree,
  mul,
  type NDArray,
  slice,
  type Tensor,
} from "@tsformers/engine";
import { expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { present } from "../../src/schema/present.ts";
import { lossAndGradients } from "../../src/train/accumulate.ts";
import { expectSameTrees } from "../numbers.ts";

type Model = LanguageModel<DecoderParams>;

/** Tokens without a period that a test could fall for, [rows, length]. */
export function tokensBelow(
  vocabularySize: number,
  rows: number,
): (length: number, own?: number, seed?: number) => NDArray {
  return (length, own = rows, seed = 5) =>
    fromNumbers(
      Array.from({ length: own * length }, (_, i) => (i * i * 7 + seed * i + 3) % vocabularySize),
      [own, length],
      "int32",
    );
}

/** A segment, and what its rows remember. Default of `memories`: nothing. */
export type Segment = {
  readonly tokens: NDArray;
  readonly memories?: unknown;
  readonly fresh?: NDArray;
  readonly mask?: NDArray;
};

export type ReadSegment = {
  readonly logits: NDArray;
  readonly losses: Readonly<Record<string, NDArray>>;
  readonly memories: unknown;
};

/** Reads one segment, with memories as arrays. */
export function segmentReader(
  model: LanguageModel<never>,
  params: unknown,
  device: Device,
): (given: Segment) => Promise<ReadSegment> {
  type Given = { readonly fresh?: Tensor; readonly mask?: Tensor };
  const pass = (params: never, tokens: Tensor, layers: readonly unknown[], { fresh, mask }: Given) => {
    const input = { tokens, ...present({ mask }), segment: { layers, ...present({ fresh }) } };
    const { logits, losses, state } = model.apply(params, input, evaluation);
    return { logits, losses, memories: state.segment! };
  };
  return ({ tokens, memories = startSegments(model.layers, tokens.shape[0]!), ...given }) => {
    const args = [params, tokens, memories, given] as never[];
    return evaluate(pass as never, device, ...(args as [])) as unknown as Promise<ReadSegment>;
  };
}

/** The model's way through a sequence: segment by segment, each with the memories that the one before left. */
export function inSegments<Memory>(
  model: Model,
  params: unknown,
  tokens: Tensor,
  lengths: readonly number[],
): { logits: Tensor; losses: Tensor; memories: readonly Memory[] } {
  let memories = mapTree(startSegments(model.layers, tokens.shape[0]!)!, isNdArray, (array) =>
    constant(array),
  ) as readonly unknown[];
  let losses: Tensor = constant(fromNumbers([0], []));
  let start = 0;
  const logits = lengths.map((length) => {
    const own = slice(tokens, 1, start, start + length);
    start += length;
    const out = model.apply(params as never, { tokens: own, segment: { layers: memories } }, evaluation);
    memories = out.state.segment!;
    losses = Object.values(out.losses).reduce(add, losses);
    return out.logits;
  });
  return { logits: concat(logits, 1), losses, memories: memories as readonly Memory[] };
}

/** Laws of what a row remembers from segment to segment. */
export function memoryLaws(model: Model, params: Concrete<DecoderParams>, device: Device): void {
  const batch = 2;
  const V = model.vocabularySize;
  const tokensOf = tokensBelow(V, batch);
  const read = segmentReader(model as never, params, device);

  test("rows are independent, and a row whose document begins remembers nothing", async () => {
    const { memories } = await read({ tokens: tokensOf(9) });
    const tokens = tokensOf(5, batch, 2);
    const both = await read({ tokens, memories, fresh: fromNumbers([0, 1], [batch]) });
    const goesOn = await read({ tokens: rowOf(tokens, 0), memories: rowOfTree(memories, 0) });
    const begins = await read({ tokens: rowOf(tokens, 1) });
    for (const [row, alone] of [goesOn, begins].entries()) {
      expectSameTrees(rowOf(both.logits, row), alone.logits);
      expectSameTrees(rowOfTree(both.memories, row), alone.memories);
    }
    const without = (await read({ tokens: rowOf(tokens, 0) })).logits.toNumbers();
    const off = goesOn.logits.toNumbers().map((x, i) => Math.abs(x - without[i]!));
    expect(Math.max(...off), "what is remembered makes a difference").toBeGreaterThan(1e-2);
  });

  test("an empty memory is none, and costs nothing", async () => {
    const tokens = tokensOf(3);
    const { logits, losses } = await read({ tokens });
    const alone = (params: DecoderParams, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
    expectSameTrees(logits, await evaluate(alone, device, params as never, tokens as never));
    for (const loss of Object.values(losses)) expect(loss.item()).toBe(0);
  });

  test("padding is not seen, not remembered, and has no say in what is", async () => {
    const [real, padded] = [5, 8];
    const isReal = (i: number) => i % padded < real;
    const tokens = tokensOf(padded);
    const mask = fromNumbers(
      tokens.toNumbers().map((_, i) => Number(isReal(i))),
      tokens.shape,
    );
    const other = fromNumbers(
      tokens.toNumbers().map((token, i) => (isReal(i) ? token : (token + 4) % V)),
      tokens.shape,
      "int32",
    );
    const three = async (tokens: NDArray) => {
      const first = await read({ tokens, mask });
      const second = await read({ tokens: tokensOf(7), memories: first.memories });
      const third = await read({ tokens: tokensOf(6, batch, 3), memories: second.memories });
      const own = first.logits.toNumbers().filter((_, i) => isReal(Math.floor(i / V)));
      const later = [second, third].map(({ logits, losses }) => ({ logits, losses }));
      return { own: fromNumbers(own, [batch, real, V]), later };
    };
    expectSameTrees(await three(other), await three(tokens));
  });

  test("in parts, a batch has the losses, gradients and memories that it has as a whole", async () => {
    const rows = 4;
    const objective = tokenObjective(model, { segments: true });
    const { memories, losses } = await read({ tokens: tokensOf(9, rows) });
    // A part's own losses count as much as its predictions, so that they are those of the whole only where parts count alike.
    const alike = Object.keys(losses).length > 0;
    const batchOf = {
      inputs: tokensOf(6, rows, 2),
      targets: tokensOf(6, rows, 4),
      weights: fromNumbers(
        Array.from({ length: rows * 6 }, (_, i) => (alike || (i % 5 !== 0 && i <= 15) ? 1 : 0)),
        [rows, 6],
      ),
      fresh: fromNumbers([0, 0, 1, 0], [rows]),
    };
    const run = (parts: number) => {
      const step = (params: DecoderParams, batch: never, memories: readonly unknown[]) => {
        const made = lossAndGradients(objective.loss, parts, params, batch, {}, { memories });
        const gradients = mapTree(made.gradients, isTensor, (leaf) => mul(leaf, made.factor ?? 1));
        return { loss: made.loss, losses: made.losses, gradients, memories: made.memories };
      };
      const args = [params, batchOf, memories] as never[];
      return evaluate(step as never, device, ...(args as []));
    };
    const whole = await run(1);
    for (const parts of [2, 4]) expectSameTrees(await run(parts), whole);
  });
}

function rowOf(array: NDArray, row: number): NDArray {
  const size = array.shape.slice(1).reduce((a, b) => a * b, 1);
  return fromNumbers(array.toNumbers().slice(row * size, (row + 1) * size), [1, ...array.shape.slice(1)], array.dtype);
}

function rowOfTree(tree: unknown, row: number): unknown {
  return mapTree(tree, isNdArray, (array) => rowOf(array, row));
}
