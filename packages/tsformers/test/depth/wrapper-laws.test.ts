import {
  add,
  type Concrete,
  compile,
  constant,
  flatten,
  fromNumbers,
  isNdArray,
  keyToArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  trace,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { behindMemory } from "../../src/attention/patterns/behind-memory.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import type { StackParams } from "../../src/depth/layers.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { startDecoding, startSegments, startTraining } from "../../src/depth/states.ts";
import type { Context, LayerState, Mixer, Pattern, StackState, View } from "../../src/kinds/index.ts";
import { within } from "../../src/nn/dropout.ts";
import { present } from "../../src/schema/present.ts";
import { looksOf, type MapRead } from "../attention/map-reading.ts";
import { louder } from "../attention/mixer-cases.ts";
import {
  batch,
  type DepthParams,
  heads,
  length,
  modelWidth,
  preNormed,
  type Wrapper,
  wrapped,
  wrappers,
} from "./wrapper-cases.ts";

// Graphs are small: a second thread would cost more than it does.
const device = await openCpu({ threads: 1 });
afterAll(() => device.close());

/** float32, and sums in another order. */
const close = 2e-4;
const x = normal(randomKey(1), [batch, length, modelWidth]);
const other = normal(randomKey(2), [batch, length, modelWidth]);
const key = keyToArray(randomKey(3));

/** What comes out of a pass beside y. */
type Beside = {
  readonly losses: Readonly<Record<string, NDArray>>;
  readonly state: LayerState;
  readonly map?: MapRead;
};

/** A pass in training. */
type Pass = {
  readonly y: NDArray;
  readonly gradients: unknown;
  /** Of all layers, and losses of all. */
  readonly state: StackState;
  readonly losses: Readonly<Record<string, NDArray>>;
  readonly maps: number;
  /** The first layer's, and that of the mixer on its own. */
  readonly first: Omit<Beside, "losses">;
  readonly bare: Beside;
};

/** What so many queries see, behind a memory of `memory` positions. */
const viewOf = (pattern: Pattern, queries: number, memory = 0): View =>
  makeView({
    pattern: memory === 0 ? pattern : behindMemory(pattern, memory),
    queries,
    keys: queries + memory,
    ...(memory === 0 ? {} : { memory }),
  });

/** A mixer in a wrapper: parameters, the state that it starts with, and what is compiled of it. */
function ready({ depth: make, enter = (x) => x, part }: Wrapper, mixer: Mixer, pattern: Pattern) {
  const depth = make(mixer);
  // Initial weights of 0.02 would let everything look alike; gains around the mixer stay at 1.
  const params = mapTree(depth.init(randomKey(5)), isNdArray, (array, path) =>
    path.includes(".mixer.") ? louder(array, path) : array,
  );
  const start: Concrete<StackState> = present({
    training: startTraining(depth.layers, randomKey(4)),
    segment: startSegments(depth.layers, batch),
  });
  const own = (of: unknown): unknown => (part === undefined ? of : (of as Record<string, unknown> | undefined)?.[part]);
  const ofFirst = ({ training, segment }: StackState): LayerState =>
    present({ training: own(training?.[0]), segment: own(segment?.[0]) });
  const pass = (params: DepthParams, x: Tensor, state: StackState, key: Tensor) => {
    const view = viewOf(pattern, x.shape[1]!, mixer.segment?.length);
    const { gradient, extra } = valueAndGradWithExtra((of: { params: DepthParams; x: Tensor }) => {
      const out = depth.apply(of.params, { x: enter(of.x), view: () => view, state }, { key });
      const total = Object.values(out.losses).reduce((total, loss) => add(total, loss), weighted(out.x));
      const { x: y, losses, maps } = out;
      return [total, { y, losses, state: out.state, maps: maps.length, map: maps[0]?.() }] as const;
    })({ params, x });
    const path = [0, "mixer", ...(part === undefined ? [] : [part])];
    const context = path.reduce<Context>((context, name) => within(context, name), { key });
    const given = own(params.blocks[0]!.mixer);
    const bare = mixer.apply(given, { x, view, state: ofFirst(state) }, context);
    const { map, ...out } = extra;
    return {
      ...out,
      gradients: gradient,
      first: { state: ofFirst(out.state), map },
      bare: { losses: bare.losses ?? {}, state: bare.state ?? {}, map: bare.map?.() },
    };
  };

  /** All positions at once, in evaluation and without a memory. */
  const whole = (params: DepthParams, x: Tensor, { training }: StackState) => {
    const view = viewOf(pattern, x.shape[1]!);
    return depth.apply(params, { x: enter(x), view: () => view, state: present({ training }) }, {}).x;
  };

  const step = (params: DepthParams, x: Tensor, state: StackState, position: Tensor) => {
    const view = makeView({ pattern, queries: 1, keys: length, offset: position });
    const input = { x: enter(x), view: () => view, state, place: () => ({ position }) };
    const out = depth.apply(params, input, {});
    return { y: out.x, state: out.state };
  };
  return { depth, params, start, pass, whole, step };
}

type Run = (...args: unknown[]) => Promise<unknown>;

/** Compiles, and gives results as they can be read. */
async function using<T>(fn: unknown, use: (run: Run) => Promise<T>): Promise<T> {
  const program = compile(fn as () => unknown, { device }) as unknown as Run & { release(): Promise<void> };
  try {
    return await use(async (...args) => readTree((await program(...args)) as never));
  } finally {
    await program.release();
  }
}

/** A sum in which every number has a weight of its own. */
function weighted(y: Tensor): Tensor {
  const count = y.shape.reduce((a, b) => a * b, 1);
  const weights = Array.from({ length: count }, (_, i) => Math.sin(1 + i));
  return sum(mul(y, constant(fromNumbers(weights, y.shape))));
}

const formOf = (tree: unknown) => {
  const { leaves, structure } = flatten(tree, isNdArray);
  return { structure, types: leaves.map(({ shape, dtype }) => [dtype, ...shape]) };
};
const numbersOf = (tree: unknown): number[] => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());

function expectSame(found: unknown, expected: unknown, what: string): void {
  expect(formOf(found), what).toEqual(formOf(expected));
  const [a, b] = [numbersOf(found), numbersOf(expected)];
  const worst = a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!) / (1 + Math.abs(b[i]!))), 0);
  expect(worst, what).toBeLessThan(close);
}

const positionsOf = (x: NDArray, from: number, to: number): NDArray => {
  const rows = Array.from({ length: batch }, (_, b) => b * length * modelWidth);
  const values = x.toNumbers();
  return fromNumbers(
    rows.flatMap((row) => values.slice(row + from * modelWidth, row + to * modelWidth)),
    [batch, to - from, modelWidth],
  );
};

/** Which keys each head of the mixer looks at from each position, and how much. */
function looksIn(map: MapRead): { readonly keys: number[][]; readonly weights: NDArray } {
  const looks = looksOf(map);
  const each = Array.from({ length: batch * heads * length }, (_, i) =>
    looks(Math.floor(i / (heads * length)), Math.floor(i / length) % heads, i % length),
  );
  const weights = each.flat().map(({ weight }) => weight);
  return { keys: each.map((own) => own.map(({ key }) => key)), weights: fromNumbers(weights, [weights.length]) };
}

test("in a stack of unlike layers each keeps its own state", async () => {
  const named = async (name: string) => wrapped.find((one) => one.name === name)!.load();
  const [plain, drawn] = [await named("softmax"), await named("performer")];
  const [routed, remembering] = [await named("routing"), await named("softmax with a memory")];
  const order = [plain, drawn, remembering, plain, routed, remembering];
  const depth = blockStack(order.map(preNormed));
  const start: Concrete<StackState> = present({
    segment: startSegments(depth.layers, batch),
    training: startTraining(depth.layers, randomKey(4)),
  });
  const pass = (params: StackParams, x: Tensor, state: StackState, key: Tensor) => {
    const view = (layer: number) => viewOf(causal, length, order[layer]!.segment?.length);
    return depth.apply(params, { x, view, state }, { key }).state;
  };
  const after = (await using(pass, (run) => run(depth.init(randomKey(5)), x, start, key))) as StackState;
  expect(formOf(after)).toEqual(formOf(start));
  expect(Object.keys(after.training!)).toEqual(["1", "4"]);
  expect(after.segment!.map((own) => own !== undefined)).toEqual([false, false, true, false, false, true]);
});

describe.each(wrappers.map((wrapper) => [wrapper.name, wrapper] as const))("%s", (_, wrapper) => {
  describe.each(wrapped.map((one) => [one.name, one] as const))(
    "around %s",
    (_, { load, pattern, decodedAlike = length }) => {
      let made: Promise<ReturnType<typeof ready> & { mixer: Mixer; passes: readonly Pass[] }> | undefined;
      /** A pass, one that goes on from its state with another batch, and the first one once more. */
      const prepared = () => {
        made ??= load().then(async (mixer) => {
          const all = ready(wrapper, mixer, pattern);
          const { params, start, pass } = all;
          const passes = await using(pass, async (run) => {
            const first = (await run(params, x, start, key)) as Pass;
            return [first, await run(params, other, first.state, key), await run(params, x, start, key)] as Pass[];
          });
          return { ...all, mixer, passes };
        });
        return made;
      };

      test("everything learns", async () => {
        const { depth, passes } = await prepared();
        const { leaves, paths } = flatten(passes[0]!.gradients, isNdArray);
        // What looks things up has something to learn once there is something to find.
        const later = flatten(passes[1]!.gradients, isNdArray).leaves;
        const isZero = (array: NDArray) => array.toNumbers().every((value) => value === 0);
        expect(passes[0]!.y.shape.slice(0, 2)).toEqual([batch, length]);
        expect(paths.filter((_, i) => !leaves[i]!.toNumbers().every(Number.isFinite))).toEqual([]);
        expect(paths.filter((_, i) => isZero(leaves[i]!) && isZero(later[i]!))).toEqual([]);
        expect(depth.layers[0]!.mixer.sees).toBe((await prepared()).mixer.sees);
      });

      test("state goes through, and is that of the mixer on its own", async () => {
        const { start, passes } = await prepared();
        for (const { state, first, bare } of passes) {
          expect(formOf(state)).toEqual(formOf(start));
          expectSame(first.state, bare.state, "state of the first layer");
        }
      });

      test("losses and maps come out", async () => {
        const { depth, passes } = await prepared();
        for (const { losses, maps, first, bare } of passes) {
          const names = [...Object.keys(bare.losses), ...(wrapper.losses ?? [])];
          expect(Object.keys(losses).sort()).toEqual(names.sort());
          expect(maps).toBe(bare.map === undefined ? 0 : depth.layers.length);
          if (bare.map !== undefined) {
            const [found, expected] = [looksIn(first.map!), looksIn(bare.map)];
            expect(found.keys).toEqual(expected.keys);
            expectSame(found.weights, expected.weights, "map of the first layer");
          }
          const isAlone = depth.layers.length === 1 && wrapper.part === undefined;
          if (isAlone) expectSame(losses, bare.losses, "losses");
        }
      });

      test("earlier calls change nothing", async () => {
        const { params, start, whole, passes } = await prepared();
        expect(numbersOf(passes[2])).toEqual(numbersOf(passes[0]));
        const traced = (rows: number, count: number) => {
          const given = [params, normal(randomKey(1), [rows, count, modelWidth]), start];
          const { leaves, structure } = flatten(given, isNdArray);
          return trace(whole as never, structure, leaves).program.toString();
        };
        const before = traced(batch, length);
        traced(1, 7);
        expect(traced(batch, length)).toBe(before);
      });

      test("position by position gives what one pass gives", async () => {
        const { mixer, depth, params, start, whole, step } = await prepared();
        const { training } = start;
        const begin = () => startDecoding(depth.layers, { batch, capacity: length, training });
        if (mixer.recurrent === undefined && !("cacheShape" in mixer)) {
          expect(begin).toThrow(`${mixer.name}: cannot go on position by position`);
          return;
        }
        const expected = (await using(whole, (run) => run(params, positionsOf(x, 0, decodedAlike), start))) as NDArray;
        const found = await using(step, async (run) => {
          const rows: number[][] = [];
          let state: unknown = present({ decode: begin(), training });
          for (let t = 0; t < decodedAlike; t++) {
            const out = await run(params, positionsOf(x, t, t + 1), state, fromNumbers([t], [], "int32"));
            const { y, state: next } = out as { y: NDArray; state: StackState };
            expect(formOf(next)).toEqual(formOf(state));
            expectSame(next.training, training, "training state");
            state = next;
            rows.push(y.toNumbers());
          }
          return rows;
        });
        const width = expected.shape[2]!;
        const inOrder = Array.from({ length: batch }, (_, b) =>
          found.map((row) => row.slice(b * width, (b + 1) * width)),
        );
        expectSame(fromNumbers(inOrder.flat(2), expected.shape), expected, "y");
      });
    },
  );
});
