/**
 * The training step of the gpt-step bench in jax-js, run in a page: forward, backward, clipping and AdamW in one `jit`.
 *
 * jax-js counts references: a use of an array consumes it unless it is written `x.ref`.
 * Embeddings are looked up by a product with one-hot rows, which is cheap at 65 symbols and needs no scatter.
 */
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np, random, tree, valueAndGrad } from "@jax-js/jax";

const BETA1 = 0.9;
const BETA2 = 0.95;
const LEARNING_RATE = 1e-3;
const WEIGHT_DECAY = 0.1;

/** Trains for `warmup + steps` steps on one batch; `tokens` and `targets` are Int32Arrays of B·T values. */
export async function train(workload, tokens, targets) {
  const devices = await init("wasm");
  if (!devices.includes("wasm")) throw new Error(`jax-js: expected the wasm device, it offers ${devices}`);
  defaultDevice("wasm");

  const rows = workload.batch * workload.length;
  const oneHot = (ids) => nn.oneHot(np.array(ids).reshape([rows]), workload.vocabulary).astype(np.float32);
  const batch = { tokens: oneHot(tokens), targets: oneHot(targets) };
  await blockUntilReady(batch);

  let params = initParams(workload);
  const parameters = tree.leaves(params).reduce((sum, leaf) => sum + leaf.size, 0);
  let first = tree.map((p) => np.zeros(p.shape), params);
  let second = tree.map((p) => np.zeros(p.shape), params);
  const step = jit((...state) => trainingStep(workload, ...state));

  const loss = [];
  const stepMs = [];
  for (let count = 1; count <= workload.warmup + workload.steps; count++) {
    const start = performance.now();
    const scale1 = np.array(1 / (1 - BETA1 ** count));
    const scale2 = np.array(1 / (1 - BETA2 ** count));
    const out = step(params, first, second, tree.ref(batch), scale1, scale2);
    ({ params, first, second } = out);
    loss.push((await out.loss.data())[0]);
    await blockUntilReady(params);
    stepMs.push(performance.now() - start);
  }
  return { loss, stepMs: stepMs.slice(workload.warmup), parameters };
}

function initParams({ width, layers, length, vocabulary }) {
  let seed = 0;
  const normal = (...shape) => random.normal(random.key(seed++), shape).mul(0.02);
  const norm = () => ({ gain: np.ones([width]), bias: np.zeros([width]) });
  const linear = (from, to) => ({ weight: normal(from, to), bias: np.zeros([to]) });
  const block = () => ({
    attentionNorm: norm(),
    qkv: linear(width, 3 * width),
    output: linear(width, width),
    ffnNorm: norm(),
    up: linear(width, 4 * width),
    down: linear(4 * width, width),
  });
  return {
    token: normal(vocabulary, width),
    position: normal(length, width),
    blocks: Array.from({ length: layers }, block),
    finalNorm: norm(),
  };
}

const applyLinear = (p, x) => np.matmul(x, p.weight).add(p.bias);
const applyNorm = (p, x) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(p.gain).add(p.bias);

/** Activations stay flat, [B·T, C], so that every linear layer is one large product. */
function lossOf({ width, heads, batch, length }, params, { tokens, targets }) {
  const position = np.tile(params.position, [batch, 1]);
  let x = np.matmul(tokens, params.token.ref).add(position);
  for (const block of params.blocks) {
    const qkv = applyLinear(block.qkv, applyNorm(block.attentionNorm, x.ref));
    const [q, k, v] = np.split(qkv, 3, -1).map((part) => part.reshape([batch, length, heads, width / heads]));
    const mixed = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([batch * length, width]);
    x = x.add(applyLinear(block.output, mixed));
    const hidden = nn.gelu(applyLinear(block.up, applyNorm(block.ffnNorm, x.ref)), { approximate: true });
    x = x.add(applyLinear(block.down, hidden));
  }
  const logits = np.matmul(applyNorm(params.finalNorm, x), params.token.transpose());
  return nn
    .logSoftmax(logits, -1)
    .mul(targets)
    .sum()
    .mul(-1 / (batch * length));
}

function trainingStep(workload, params, first, second, batch, scale1, scale2) {
  const [loss, gradients] = valueAndGrad((p) => lossOf(workload, p, batch))(tree.ref(params));
  const squares = tree.leaves(gradients).map((g) => np.square(g.ref).sum());
  const norm = np.sqrt(squares.reduce((a, b) => a.add(b)));
  const clip = np.minimum(np.array(1), np.reciprocal(norm.add(1e-6)));

  const clipped = tree.map((g) => g.mul(clip.ref), gradients);
  clip.dispose();
  const newFirst = tree.map((m, g) => m.mul(BETA1).add(g.ref.mul(1 - BETA1)), first, clipped);
  const newSecond = tree.map((v, g) => v.mul(BETA2).add(np.square(g).mul(1 - BETA2)), second, clipped);
  const newParams = tree.map(
    (p, m, v) => {
      const decay = p.shape.length >= 2 ? WEIGHT_DECAY : 0;
      const rms = np.sqrt(v.ref.mul(scale2.ref)).add(1e-8);
      return p.mul(1 - LEARNING_RATE * decay).sub(m.ref.mul(scale1.ref).div(rms).mul(LEARNING_RATE));
    },
    params,
    newFirst,
    newSecond,
  );
  scale1.dispose();
  scale2.dispose();
  return { params: newParams, first: newFirst, second: newSecond, loss };
}
