import {
  add,
  compile,
  type Device,
  div,
  flatten,
  full,
  integers,
  isTensor,
  keyToArray,
  logSoftmax,
  mean,
  mul,
  NDArray,
  neg,
  randomKey,
  reshape,
  slice,
  sqrt,
  square,
  sub,
  type Tensor,
  takeAlongAxis,
  unflatten,
  valueAndGrad,
} from "@tsformers/engine";
import { gpt } from "../../src/models/decoders/gpt.ts";

const length = 16;
const batch = 4;
const model = gpt({ vocabularySize: 24, layers: 2, modelWidth: 32, heads: 4, length, dropoutRate: 0.1 });
type Params = Parameters<typeof model.apply>[0];
type State = { params: Params; momentum: Params; scale: Params };

/** Mean cross-entropy of the next token. */
function loss(params: Params, tokens: Tensor, key: Tensor): Tensor {
  const seen = slice(tokens, 1, 0, length);
  const next = slice(tokens, 1, 1, length + 1);
  const { logits } = model.apply(params, { tokens: seen }, { key });
  return neg(mean(takeAlongAxis(logSoftmax(logits), reshape(next, [batch, length, 1]))));
}

/** One step of Adam without bias correction. */
function step({ params, momentum, scale }: State, tokens: Tensor, key: Tensor): { state: State; loss: Tensor } {
  const { value, gradient } = valueAndGrad(loss)(params, tokens, key);
  const nextMomentum = zip(momentum, gradient, (m, g) => add(mul(m, 0.9), mul(g, 0.1)));
  const nextScale = zip(scale, gradient, (v, g) => add(mul(v, 0.99), mul(square(g), 0.01)));
  const direction = zip(nextMomentum, nextScale, (m, v) => div(m, add(sqrt(v), 1e-4)));
  const nextParams = zip(params, direction, (p, d) => sub(p, mul(d, 3e-3)));
  return { state: { params: nextParams, momentum: nextMomentum, scale: nextScale }, loss: value };
}

/** The losses of `steps` training steps of a small GPT with dropout, on one batch. State stays on the device. */
export async function lossCurve(device: Device, steps: number): Promise<number[]> {
  const params = model.init(randomKey(1));
  const zeros = () => zip(params, params, ({ shape }: NDArray) => full(shape, 0));
  const tokens = integers(randomKey(2), [batch, length + 1], { high: model.vocabularySize });
  const compiled = compile(step, { device, donate: [0] });
  let state: Parameters<typeof compiled>[0] = { params, momentum: zeros(), scale: zeros() };
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const out = await compiled(state, tokens, keyToArray(randomKey(100 + i)));
    state = out.state;
    losses.push((await out.loss.read()).item());
  }
  await compiled.release();
  return losses;
}

/** Two trees of the same structure, leaf by leaf. */
function zip<Tree, Leaf extends Tensor | NDArray>(a: Tree, b: Tree, join: (a: Leaf, b: Leaf) => Leaf): Tree {
  const isLeaf = (value: unknown): value is Leaf => isTensor(value) || value instanceof NDArray;
  const { leaves, structure } = flatten(a, isLeaf);
  const other = flatten(b, isLeaf).leaves;
  return unflatten(
    structure,
    leaves.map((leaf, i) => join(leaf, other[i]!)),
  ) as Tree;
}
