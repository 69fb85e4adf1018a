import type { NDArray, Tensor } from "@tsformers/engine";
import type { makeView } from "../../attention/core/view.ts";
import type { Context } from "../../kinds/layer.ts";
import type { NameRule } from "./names.ts";

/** Arrays by the reference implementation's names of inputs and outputs, such as `input_ids` and `logits`. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** The model of a checkpoint and how to read it, once its configuration is known. */
export type Architecture<Model = unknown> = {
  readonly model: Model;
  readonly category: "decoder" | "encoder" | "encoder-decoder" | "stacks" | "decisions";
  readonly names: readonly NameRule[];
  /** Positions of its learned table, or that it was trained for. */
  readonly length?: number;
  /** Tokens that end a text. */
  readonly endTokens?: readonly number[];
  /** First token of targets, for an encoder-decoder. */
  readonly startToken?: number;
  readonly probe: Probe;
};

/** Allowed values of an input: floats, or integers below a bound; labels may also be −100, which is ignored. */
export type InputRule = { readonly dtype: "float32" | "int32"; readonly below?: number; readonly orIgnored?: boolean };

export const tokenInput = (vocabularySize: number): InputRule => ({ dtype: "int32", below: vocabularySize });
export const labelInput = (classes: number): InputRule => ({ dtype: "int32", below: classes, orIgnored: true });
export const maskInput: InputRule = { dtype: "int32", below: 2 };
export const positionInput: InputRule = { dtype: "int32", below: 2 ** 24 };
export const floatInput: InputRule = { dtype: "float32" };

/** Description of a case in meta.json. */
export type CaseAbout = { readonly what: string; readonly [option: string]: unknown };

/** A forward pass with the reference's names. */
export type Probe = {
  /** The inputs it accepts. */
  readonly inputs: Readonly<Record<string, InputRule>>;
  /** Rules of further inputs by name, for inputs whose number varies, such as those of segments. */
  inputOf?(name: string): InputRule | undefined;
  /** Results whose rows are not compared where an input marks them (1 = padding): result → input. */
  readonly padded?: Readonly<Record<string, string>>;
  /** What of the inputs must be known while tracing, such as a count that decides a shape: added to `about`. */
  staticOf?(inputs: Readonly<Record<string, NDArray>>): Readonly<Record<string, unknown>>;
  /** The input that marks the rows of a result that are compared (1 = real). Absent, or undefined: all are. */
  realOf?(result: string): string | undefined;
  /**
   * Computes all results by name, among them `loss` if the inputs allow it. Results that are not used
   * cost nothing. `about` is the case's description in meta.json (`what`) and its options.
   */
  run(params: unknown, inputs: NamedTensors, context: Context, about: CaseAbout): NamedTensors;
};

/** What an architecture may depend on besides its configuration. */
export type BuildOptions = {
  /** Whether the file has an array of this name, or of one of its aliases. */
  has(name: string): boolean;
  /** Whether the output has a separate matrix even if the configuration ties it to the embedding. */
  readonly ownHead: boolean;
  /** Makes the views. Verification uses the reference's treatment of queries that see no key. */
  readonly makeView?: typeof makeView;
};

/**
 * An array that a file may hold under several names: under one of them, or under several with equal elements. If they differ,
 * `head` is used for the output, or `first` for everything; without either the file is rejected.
 */
export type SharedArray = {
  readonly names: readonly string[];
  /** A name that may also hold a separate output matrix. */
  readonly head?: string;
  /** The name that is used where elements differ. */
  readonly first?: string;
};

/** One family of checkpoints: how its configuration becomes a model, and how its files name arrays. */
export type Format = {
  readonly modelType: string;
  readonly architectures: readonly string[];
  /** Prefix of names that is absent in files of the model without its head. */
  readonly prefix?: string;
  /** Buffers that files of this family may hold besides parameters; they are computed, not read. */
  readonly ignored?: RegExp;
  /** Buffers that add nothing and are dropped, too: a file in which one is not 0 throughout is rejected. */
  readonly zeros?: RegExp;
  /** Other names of arrays, also as parts after a dot: theirs → the one in the rules. */
  readonly renamed?: Readonly<Record<string, string>>;
  readonly shared?: readonly SharedArray[];
  /** @throws Error when the configuration asks for something unsupported */
  build(config: Readonly<Record<string, unknown>>, options: BuildOptions): Architecture;
};

/** A token embedding that is also the output matrix, if the file has no separate one. */
export function tiedHeadNames(tokens: string, head = "lm_head.weight"): SharedArray {
  return { names: [tokens, head], head };
}
