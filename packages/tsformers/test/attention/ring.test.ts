import {
  compile,
  type DeviceArray,
  fromNumbers,
  type NDArray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { ringDecoding } from "../../src/attention/core/ring.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { union } from "../../src/attention/patterns/combine.ts";
import { dilatedWindow } from "../../src/attention/patterns/dilated.ts";
import { causal, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { type AttentionParams, attention } from "../../src/attention/softmax/attention.ts";
import type { KeyValueCache } from "../../src/kinds/index.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { alibi } from "../../src/position/alibi.ts";
import { rotary } from "../../src/position/rotary.ts";

const device = await openCpu();
afterAll(() => device.close());

const [width, heads] = [12, 3];
const mixer = attention({ modelWidth: width, heads, initial: normalInitial(0.5) });
const scheme = { rotation: rotary(width / heads), scores: alibi(heads) };

const first: Pattern = { name: "first and third", keys: (query) => (query < 2 ? [0, 1] : [0, 1, 2, 3]) };

test.each([
  ["a window", { window: 7 }],
  ["a window with gaps", { window: 4, dilation: 3 }],
  ["a window and pinned positions", { window: 5, pinned: [0, 2] }],
])("%s decodes with room for itself alone, as one pass does", async (_, options) => {
  const { window, dilation = 1, pinned } = { dilation: 1, pinned: undefined, ...options };
  const near = dilatedWindow({ before: window, after: 0, dilation });
  const pattern = pinned === undefined ? near : union(near, first);
  const length = 60;
  const params = mixer.init(randomKey(1));
  const x = normal(randomKey(2), [2, length, width]);
  const whole = compile(
    (params: AttentionParams, x: Tensor) => {
      const { rotation, scores } = scheme;
      const view = makeView({
        pattern,
        queries: length,
        keys: length,
        rotation,
        scores: (at) => scores.prepare({}, at),
      });
      return mixer.apply(params, { x, view }, {}).y;
    },
    { device },
  );
  const expected = (await readTree(await whole(params, x))).toNumbers();
  const ring = ringDecoding(mixer, options);
  const step = compile(
    (params: AttentionParams, x: Tensor, state: KeyValueCache, position: Tensor) => {
      const { rotation, scores } = scheme;
      const view = makeView({
        pattern: causal,
        queries: 1,
        keys: 1,
        offset: position,
        rotation,
        scores: (at) => scores.prepare({}, at),
      });
      return ring.step(params, x, state, { position, view });
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; state: unknown }>;
  let state: unknown = ring.start(2, length);
  const room = (ring.start(2, 1_000_000) as { key: NDArray }).key.shape;
  expect(room).toEqual([2, heads, (pinned?.length ?? 0) + window * dilation + 1, width / heads]);
  const values = x.toNumbers();
  for (let t = 0; t < length; t++) {
    const row = [0, 1].flatMap((b) => values.slice((b * length + t) * width, (b * length + t + 1) * width));
    const out = await step(params, fromNumbers(row, [2, 1, width]), state, fromNumbers([t], [], "int32"));
    state = out.state;
    const found = (await out.y.read()).toNumbers();
    for (let b = 0; b < 2; b++) {
      for (let c = 0; c < width; c++) {
        expect(Math.abs(found[b * width + c]! - expected[(b * length + t) * width + c]!), `${t}`).toBeLessThan(1e-4);
      }
    }
  }
});
