import { constant, fromNumbers, gather, type NDArray, normal, randomKey, slice, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { inducedSet } from "../../src/attention/sets/set-attention.ts";
import { isab, mab, paperForm, pma, publishedForm, sab } from "../../src/attention/sets/set-blocks.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { expectSame, noisy } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const [modelWidth, heads] = [8, 2];
const order = [4, 0, 6, 2, 5, 1, 3];
const rearranged = (x: Tensor) => gather(x, constant(fromNumbers(order, [order.length], "int32")), 1);
const elements: NDArray = normal(randomKey(2), [2, order.length, modelWidth]);

const forms = {
  paper: paperForm(),
  published: publishedForm(),
  "published with norms": publishedForm({ norm: layerNorm() }),
};

describe.each(Object.entries(forms))("the %s form", (_, form) => {
  const size = { modelWidth, heads, form };
  const blocks = { SAB: sab(size), ISAB: isab({ ...size, points: 3 }) };

  test.each(Object.entries(blocks))(
    "%s gives elements in another order the same results in that order",
    async (_, block) => {
      const params = noisy<never>(block.init(randomKey(1)) as never);
      const run = (p: never, x: Tensor) => block.apply(p, x, undefined, evaluation).y;
      await expectSame<never>(
        (p, x) => run(p, rearranged(x)),
        (p, x) => rearranged(run(p, x)),
        params,
        elements,
        device,
      );
    },
  );

  test("PMA does not see the order", async () => {
    const block = pma({ ...size, seeds: 2 });
    const params = noisy(block.init(randomKey(1)));
    type P = Parameters<typeof block.apply>[0];
    const run = (p: P, x: Tensor) => block.apply(p, x, undefined, evaluation).y;
    await expectSame<P>((p, x) => run(p, rearranged(x)), run, params, elements, device);
  });

  test("padding is as if it were not there", async () => {
    const mask = constantMask([1, 1, 1, 1, 1, 0, 0]);
    const pooled = pma({ ...size, seeds: 2 });
    for (const [name, block] of Object.entries({ ...blocks, PMA: pooled })) {
      const params = noisy<never>(block.init(randomKey(1)) as never);
      const run = (p: never, x: Tensor, keyMask?: Tensor) => block.apply(p, x, keyMask, evaluation).y;
      const cut = (y: Tensor) => (name === "PMA" ? y : slice(y, 1, 0, 5));
      await expectSame<never>(
        (p, x) => cut(run(p, x, mask())),
        (p, x) => run(p, slice(x, 1, 0, 5)),
        params,
        elements,
        device,
      );
    }
  });
});

const constantMask = (row: readonly number[]) => () =>
  constant(fromNumbers([...row, ...row], [2, row.length], "int32"));

test("the published form scales by the whole width and keeps the projected queries", async () => {
  const size = { modelWidth, heads };
  const [ours, theirs] = [mab({ ...size, form: paperForm() }), mab({ ...size, form: publishedForm() })];
  const shapes = (block: typeof ours) => Object.keys(block.init(randomKey(1))).join(" ");
  expect(shapes(ours)).toBe("query key value out attentionNorm ffn ffnNorm");
  expect(shapes(theirs)).toBe("query key value ffn");
  expect(publishedForm().scale(64, 16)).toBe(1 / 8);
  expect(paperForm().scale(64, 16)).toBe(1 / 4);
});

test("the mixer is the whole block, and knows its directions", async () => {
  const options = { modelWidth, heads, points: 3 };
  const [mixer, block] = [inducedSet(options), isab(options)];
  type P = Parameters<typeof block.apply>[0];
  const view = () => makeView({ pattern: fullPattern, queries: order.length, keys: order.length });
  await expectSame<P>(
    (p, x) => mixer.apply(p, { x, view: view() }, evaluation).y,
    (p, x) => block.apply(p, x, undefined, evaluation).y,
    noisy(mixer.init(randomKey(1))),
    elements,
    device,
  );
  const context = { modelWidth, heads, length: 8, causal: true };
  expect(() => mixers["induced-set"].make({}, context)).toThrow("induced-set: is bidirectional only, not causal");
});
