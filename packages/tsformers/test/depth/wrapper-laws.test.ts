import {
  add,
  compile,
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
import { startDecoding, startSegments, startTraining } from "../../src/depth/states.ts";
import type { AttentionMap, Context, LayerState, Losses, StackState } from "../../src/kinds/index.ts";
import { within } from "../../src/nn/dropout.ts";
import { present } from "../../src/nn/present.ts";
import { louder } from "../attention/mixer-cases.ts";
import {
  batch,
  type DepthParams,
  length,
  modelWidth,
  type WrappedMixer,
  type Wrapper,
  wrapped,
  wrappers,
} from "./wrapper-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

/** Maps that cannot be one, and what is said of them. */
const unjoinable: Readonly<Record<string, string>> = {};

type Seen<T> = {
  readonly losses: Losses;
  readonly training?: unknown;
  readonly segment?: unknown;
  readonly map?: T;
};

const pairs = wrappers.flatMap((wrapper) =>
  wrapped.map((one) => [`${one.name} in ${wrapper.name}`, wrapper, one] as const),
);

const x = normal(randomKey(1), [batch, length, modelWidth]);
const key = keyToArray(randomKey(3));
const close = 1e-4;

async function prepare(wrapper: Wrapper, one: WrappedMixer) {
  const mixer = await one.load();
  const depth = wrapper.depth(mixer);
  const { enter = (x: Tensor) => x, part } = wrapper;
  const own = <T>(of: unknown): T =>
    (part === undefined ? of : (of as Record<string, unknown> | undefined)?.[part]) as T;
  const params = mapTree(depth.init(randomKey(5)), isNdArray, (array, path) =>
    path.includes(".mixer.") ? louder(array, path) : array,
  ) as unknown as DepthParams;

  /** One pass in training. */
  const pass = (params: DepthParams, x: Tensor, weights: Tensor, state: StackState, key: Tensor) => {
    const [queries, memory] = [x.shape[1]!, mixer.segment?.length ?? 0];
    const view = makeView({
      pattern: memory === 0 ? one.pattern : behindMemory(one.pattern, memory),
      queries,
      keys: queries + memory,
      ...(memory === 0 ? {} : { memory }),
    });
    const { gradient, extra } = valueAndGradWithExtra((of: { params: DepthParams; x: Tensor }) => {
      const input = { x: enter(of.x), view: () => view, state };
      const { x, losses, state: next, maps } = depth.apply(of.params, input, { key });
      const total = Object.values(losses).reduce((total, loss) => add(total, loss), sum(mul(x, weights)));
      return [total, { x, losses, state: next, maps: maps.map((map) => map()) }] as const;
    })({ params, x });
    const at = [0, "mixer", ...(part === undefined ? [] : [part])];
    const context = at.reduce<Context>((context, name) => within(context, name), { key });
    const before: LayerState = present({ training: own(state.training?.[0]), segment: own(state.segment?.[0]) });
    const bare = mixer.apply(own(params.blocks[0]!.mixer), { x, view, state: before }, context);
    return {
      ...extra,
      gradient,
      bare: { losses: bare.losses ?? {}, state: bare.state ?? {}, maps: bare.map === undefined ? [] : [bare.map()] },
    };
  };
  return { mixer, depth, params, pass, own, enter };
}

test("timing", async () => {
  const t0 = performance.now();
  let [tt, tc, ti, n] = [0, 0, 0, 0];
  for (const [name, wrapper, one] of pairs) {
    try {
      const { pass, params, depth, mixer } = await prepare(wrapper, one);
      const weights = normal(randomKey(2), [batch, length, wrapper.enter ? 32 : 16]);
      const state = present({
        training: startTraining(depth.layers, randomKey(4)),
        segment: startSegments(depth.layers, batch),
      });
      const { leaves, structure } = flatten([params, x, weights, state, key], isNdArray);
      const a = performance.now();
      const { program } = trace(pass as never, structure, leaves);
      const b = performance.now();
      const c = compile(pass as never, { device }) as unknown as (...a: unknown[]) => Promise<unknown>;
      await readTree(await c(params, x, weights, state, key));
      const d = performance.now();
      tt += b - a;
      tc += d - b;
      n++;
      const { interpret } = await import("@tsformers/engine");
      interpret(program, leaves);
      ti += performance.now() - d;
      if (wrapper.name === "pre-norm block")
        console.log(name, program.equations.length, (b - a) | 0, (d - b) | 0, (performance.now() - d) | 0);
    } catch (e) {
      console.log(name, String(e).slice(0, 200));
    }
  }
  console.log(n, tt, tc, ti, performance.now() - t0);
}, 1e6);
