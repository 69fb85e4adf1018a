/**
 * The training step of the gpt-step bench in TensorFlow.js, run in a page on its wasm backend.
 *
 * `tf` is the global of the library's script. Embeddings are products with one-hot rows: the gradient of `tf.gather` is
 * an unsorted segment sum, for which the wasm backend has no kernel. AdamW is written out, since `tf.train.adam` has
 * neither decoupled decay nor clipping. Products avoid `tf.matMul` with transpose flags or batches, which the backend
 * computes by a naive loop at about 1 GFLOP/s; the gradient of `tf.matMul` itself uses the flags, and a step written
 * plainly takes six times as long.
 */
const BETA1 = 0.9;
const BETA2 = 0.95;
const LEARNING_RATE = 1e-3;
const WEIGHT_DECAY = 0.1;

/** Trains for `warmup + steps` steps on one batch; `tokens` and `targets` are Int32Arrays of B·T values. */
export async function train(workload, tokens, targets) {
  tf.wasm.setWasmPaths("/node_modules/@tensorflow/tfjs-backend-wasm/dist/");
  tf.wasm.setThreadsCount(workload.threads);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js: the wasm backend did not start");
  await tf.ready();

  const oneHot = (ids) => tf.oneHot(tf.tensor1d(ids, "int32"), workload.vocabulary).toFloat();
  const batch = { tokens: oneHot(tokens), targets: oneHot(targets), mask: causalMask(workload.length) };
  const params = initParams(workload);
  const variables = tf.engine().registeredVariables;
  const state = Object.entries(variables).map(([name, value]) => ({
    name,
    value,
    first: tf.variable(tf.zerosLike(value), false),
    second: tf.variable(tf.zerosLike(value), false),
  }));
  const trained = state.map(({ value }) => value);
  const parameters = trained.reduce((sum, value) => sum + value.size, 0);

  const loss = [];
  const stepMs = [];
  for (let count = 1; count <= workload.warmup + workload.steps; count++) {
    const start = performance.now();
    const value = tf.tidy(() => {
      const { value, grads } = tf.variableGrads(() => lossOf(workload, params, batch), trained);
      update(state, grads, count);
      return value;
    });
    loss.push((await value.data())[0]);
    value.dispose();
    stepMs.push(performance.now() - start);
  }
  const threads = tf.wasm.getThreadsCount();
  return { loss, stepMs: stepMs.slice(workload.warmup), parameters, threads };
}

function initParams({ width, layers, length, vocabulary }) {
  const normal = (...shape) => tf.variable(tf.randomNormal(shape, 0, 0.02));
  const norm = () => ({ gain: tf.variable(tf.ones([width])), bias: tf.variable(tf.zeros([width])) });
  const linear = (from, to) => ({ weight: normal(from, to), bias: tf.variable(tf.zeros([to])) });
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

/** −1e9 where a position would see a later one, [T, T]. */
function causalMask(length) {
  return tf.tidy(() => {
    const index = tf.range(0, length);
    return tf.less(index.expandDims(1), index.expandDims(0)).toFloat().mul(-1e9);
  });
}

/** Product of matrices, or of stacks of them, that keeps to the one fast path of the wasm backend (see the file's head). */
function multiply(a, b) {
  if (a.rank === 2) return tf.matMul(a, b);
  const rights = tf.unstack(b);
  return tf.stack(tf.unstack(a).map((left, i) => tf.matMul(left, rights[i])));
}

const turn = (x) => (x.rank === 2 ? tf.transpose(x) : tf.transpose(x, [0, 2, 1]));

const product = tf.customGrad((a, b, save) => {
  save([a, b]);
  const gradFunc = (dy, [a, b]) => [multiply(dy, turn(b)), multiply(turn(a), dy)];
  return { value: multiply(a, b), gradFunc };
});

const applyLinear = (p, x) => product(x, p.weight).add(p.bias);

function applyNorm(p, x) {
  const centred = x.sub(x.mean(-1, true));
  const variance = centred.square().mean(-1, true);
  return centred.mul(variance.add(1e-5).rsqrt()).mul(p.gain).add(p.bias);
}

function gelu(x) {
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return x.mul(0.5).mul(inner.tanh().add(1));
}

/** Activations stay flat, [B·T, C], so that every linear layer is one large product. */
function lossOf({ width, heads, batch, length }, params, { tokens, targets, mask }) {
  const rows = batch * length;
  const depth = width / heads;
  const split = (part) =>
    part
      .reshape([batch, length, heads, depth])
      .transpose([0, 2, 1, 3])
      .reshape([batch * heads, length, depth]);
  const merge = (mixed) => mixed.reshape([batch, heads, length, depth]).transpose([0, 2, 1, 3]).reshape([rows, width]);
  const embedded = product(tokens, params.token).reshape([batch, length, width]);
  let x = embedded.add(params.position).reshape([rows, width]);
  for (const block of params.blocks) {
    const qkv = applyLinear(block.qkv, applyNorm(block.attentionNorm, x));
    const [q, k, v] = tf.split(qkv, 3, -1).map(split);
    const logits = product(q, turn(k)).mul(1 / Math.sqrt(depth));
    const mixed = product(tf.softmax(logits.add(mask)), v);
    x = x.add(applyLinear(block.output, merge(mixed)));
    x = x.add(applyLinear(block.down, gelu(applyLinear(block.up, applyNorm(block.ffnNorm, x)))));
  }
  const logits = product(applyNorm(params.finalNorm, x), turn(params.token));
  return tf
    .logSoftmax(logits)
    .mul(targets)
    .sum()
    .mul(-1 / rows);
}

/** Clips by the global norm and applies AdamW in place. */
function update(state, gradients, count) {
  const squares = Object.values(gradients).map((g) => g.square().sum());
  const clip = tf.minimum(1, tf.reciprocal(tf.addN(squares).sqrt().add(1e-6)));
  const scale1 = 1 / (1 - BETA1 ** count);
  const scale2 = 1 / (1 - BETA2 ** count);
  for (const { name, value, first, second } of state) {
    const g = gradients[name].mul(clip);
    first.assign(first.mul(BETA1).add(g.mul(1 - BETA1)));
    second.assign(second.mul(BETA2).add(g.square().mul(1 - BETA2)));
    const decay = value.rank >= 2 ? WEIGHT_DECAY : 0;
    const change = first.mul(scale1 * LEARNING_RATE).div(second.mul(scale2).sqrt().add(1e-8));
    value.assign(value.mul(1 - LEARNING_RATE * decay).sub(change));
  }
}
