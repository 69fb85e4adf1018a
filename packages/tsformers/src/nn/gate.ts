import { add, type Concrete, full, matmul, mul, sigmoid, splitKey, sub, type Tensor, tanh } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type Initial, normalInitial } from "./initial.ts";

/** How the output of a sublayer, y [..., C], is combined with the residual stream x [..., C]. */
export type Gate<Params> = Layer<Params, [x: Tensor, y: Tensor]>;

export type GateOptions = {
  readonly modelWidth: number;
  /** Initial value of `b`; with 2 or more a fresh gate passes little of y. Default: 2. */
  readonly bias?: number;
  readonly initial?: Initial;
};

/** `x + y`: no gate. With {@link gatedBlock} this is the paper's TrXL-I. */
export function residualGate(): Gate<Record<string, never>> {
  return { init: () => ({}), apply: (_, x, y) => add(x, y) };
}

export type InputGateParams = { gate: Tensor };

/**
 * Input gate: `σ(x·W) ∘ x + y`
 *
 * @shape  x, y [..., C] → [..., C]; W [C, C]
 * @source Parisotto et al. 2020, "Stabilizing Transformers for Reinforcement Learning", §3.2, arXiv:1910.06764
 */
export function inputGate({ modelWidth, initial = normalInitial() }: GateOptions): Gate<InputGateParams> {
  return {
    init: (key) => ({ gate: initial(key, [modelWidth, modelWidth]) }),
    apply: ({ gate }, x, y) => add(mul(sigmoid(matmul(x, gate)), x), y),
  };
}

export type BiasedGateParams = { gate: Tensor; bias: Tensor };

/**
 * Output gate: `x + σ(x·W − b) ∘ y`
 *
 * @shape  x, y [..., C] → [..., C]; W [C, C], b [C]
 * @source Parisotto et al. 2020, §3.2
 */
export function outputGate(options: GateOptions): Gate<BiasedGateParams> {
  return biasedGate(options, ({ gate, bias }, x, y) => add(x, mul(sigmoid(sub(matmul(x, gate), bias)), y)));
}

/**
 * Highway gate: `s ∘ x + (1 − s) ∘ y` with `s = σ(x·W + b)`
 *
 * @shape  x, y [..., C] → [..., C]; W [C, C], b [C]
 * @source Parisotto et al. 2020, §3.2; Srivastava, Greff & Schmidhuber 2015, "Highway Networks", arXiv:1505.00387
 */
export function highwayGate(options: GateOptions): Gate<BiasedGateParams> {
  return biasedGate(options, ({ gate, bias }, x, y) => between(y, x, sigmoid(add(matmul(x, gate), bias))));
}

export type SigTanhGateParams = BiasedGateParams & { candidate: Tensor };

/**
 * Sigmoid-tanh gate: `x + σ(y·W − b) ∘ tanh(y·U)`
 *
 * @shape  x, y [..., C] → [..., C]; W, U [C, C], b [C]
 * @source Parisotto et al. 2020, §3.2; van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders"
 */
export function sigTanhGate(options: GateOptions): Gate<SigTanhGateParams> {
  const { modelWidth, initial = normalInitial() } = options;
  return {
    init: (key): Concrete<SigTanhGateParams> => {
      const [a, b] = splitKey(key, 2);
      const square = [modelWidth, modelWidth];
      return { gate: initial(a!, square), bias: startOf(options), candidate: initial(b!, square) };
    },
    apply: ({ gate, bias, candidate }, x, y) =>
      add(x, mul(sigmoid(sub(matmul(y, gate), bias)), tanh(matmul(y, candidate)))),
  };
}

/** Matrices of y (`W`) and of x (`U`) for the reset gate r, the update gate z and the candidate. */
export type GruGateParams = {
  resetY: Tensor;
  resetX: Tensor;
  updateY: Tensor;
  updateX: Tensor;
  candidateY: Tensor;
  candidateX: Tensor;
  bias: Tensor;
};

/**
 * A gated recurrent unit with x as its state and y as its input:
 * `r = σ(y·W_r + x·U_r)`, `z = σ(y·W_z + x·U_z − b)`, `ĥ = tanh(y·W_g + (r ∘ x)·U_g)`, `(1 − z) ∘ x + z ∘ ĥ`.
 *
 * @shape  x, y [..., C] → [..., C]; W, U [C, C], b [C]
 * @source Parisotto et al. 2020, §3.2
 * @differs the formula is that of rllib's and DI-engine's units; only their initialisation of the matrices differs (torch, Xavier)
 */
export function gruGate(options: GateOptions): Gate<GruGateParams> {
  const { modelWidth, initial = normalInitial() } = options;
  return {
    init: (key) => {
      const [a, b, c, d, e, f] = splitKey(key, 6).map((one) => initial(one, [modelWidth, modelWidth]));
      const reset = { resetY: a!, resetX: b! };
      const update = { updateY: c!, updateX: d!, bias: startOf(options) };
      return { ...reset, ...update, candidateY: e!, candidateX: f! };
    },
    apply: (params, x, y) => gruGateParts(params, x, y).out,
  };
}

/** The intermediate values of {@link gruGate}. */
export function gruGateParts(params: GruGateParams, x: Tensor, y: Tensor): GruGateParts {
  const both = (ofY: Tensor, ofX: Tensor, state = x) => add(matmul(y, ofY), matmul(state, ofX));
  const reset = sigmoid(both(params.resetY, params.resetX));
  const update = sigmoid(sub(both(params.updateY, params.updateX), params.bias));
  const candidate = tanh(both(params.candidateY, params.candidateX, mul(reset, x)));
  return { reset, update, candidate, out: between(x, candidate, update) };
}

/** Reset gate, update gate and candidate, all [..., C]. */
export type GruGateParts = {
  readonly reset: Tensor;
  readonly update: Tensor;
  readonly candidate: Tensor;
  readonly out: Tensor;
};

/** `(1 − share) ∘ a + share ∘ b` */
function between(a: Tensor, b: Tensor, share: Tensor): Tensor {
  return add(a, mul(share, sub(b, a)));
}

function biasedGate(options: GateOptions, apply: Gate<BiasedGateParams>["apply"]): Gate<BiasedGateParams> {
  const { modelWidth, initial = normalInitial() } = options;
  return {
    init: (key) => ({ gate: initial(key, [modelWidth, modelWidth]), bias: startOf(options) }),
    apply,
  };
}

function startOf({ modelWidth, bias = 2 }: GateOptions): Concrete<Tensor> {
  return full([modelWidth], bias);
}
