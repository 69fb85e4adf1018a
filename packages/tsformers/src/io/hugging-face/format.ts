import type { Tensor } from "@tsformers/engine";
import type { makeView } from "../../attention/core/view.ts";
import type { Context } from "../../kinds/layer.ts";
import type { NameRule } from "./names.ts";

/** Arrays by the names that cases and outputs of the reference implementation have, such as `input_ids` and `logits`. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** What a checkpoint of one architecture holds, once its configuration is known. */
export type Architecture<Model = unknown> = {
  readonly model: Model;
  readonly category: "decoder" | "encoder" | "encoder-decoder" | "stacks";
  readonly names: readonly NameRule[];
  /** Positions that its learned table covers, or that it was made for. */
  readonly length?: number;
  /** Tokens that end a text. */
  readonly endTokens?: readonly number[];
  /** The token that targets begin with, of an encoder-decoder. */
  readonly startToken?: number;
  readonly probe: Probe;
};

/** What an input may hold: floats, or integers of a range; labels may also be −100, which is not counted. */
export type InputRule = { readonly dtype: "float32" | "int32"; readonly below?: number; readonly orIgnored?: boolean };

export const tokenInput = (vocabularySize: number): InputRule => ({ dtype: "int32", below: vocabularySize });
export const labelInput = (classes: number): InputRule => ({ dtype: "int32", below: classes, orIgnored: true });
export const maskInput: InputRule = { dtype: "int32", below: 2 };
export const positionInput: InputRule = { dtype: "int32", below: 2 ** 24 };
export const floatInput: InputRule = { dtype: "float32" };

/** What meta.json says of a case. */
export type CaseAbout = { readonly what: string; readonly [option: string]: unknown };

/** A whole pass under the reference's names. */
export type Probe = {
  /** Inputs that it understands. */
  readonly inputs: Readonly<Record<string, InputRule>>;
  /** Of further inputs, such as those of segments that may be any number. */
  inputOf?(name: string): InputRule | undefined;
  /** Results of which the rows marked in an input (1 = padding) are not compared: result → input. */
  readonly padded?: Readonly<Record<string, string>>;
  /**
   * Everything the pass computes, by name; `loss` among it when the inputs allow it. What is not used
   * costs nothing. `about` is what meta.json says of the case: its description (`what`) and its options.
   */
  run(params: unknown, inputs: NamedTensors, context: Context, about: CaseAbout): NamedTensors;
};

/** What building an architecture may depend on besides its configuration. */
export type BuildOptions = {
  /** Whether the file has an array of this name, under any of its names. */
  has(name: string): boolean;
  /** Whether the output has a matrix of its own even where the configuration ties it to the embedding. */
  readonly ownHead: boolean;
  /** What a pass may see. Verification takes the reference's way with queries that see nothing. */
  readonly makeView?: typeof makeView;
};

/**
 * One array that a file may hold under several names: under one, or under several with the same elements. Where they differ,
 * the `head` counts for the output, or `first` for everything; without either the file is refused.
 */
export type SharedArray = {
  readonly names: readonly string[];
  /** A name that may also be an output matrix of its own. */
  readonly head?: string;
  /** The name that counts where elements differ. */
  readonly first?: string;
};

/** One family of checkpoints: how its configuration becomes a model, and how its files name arrays. */
export type Format = {
  readonly modelType: string;
  readonly architectures: readonly string[];
  /** Prefix that files of the bare model without its head leave out. */
  readonly prefix?: string;
  /** Buffers that files of this family may hold besides the parameters; they are computed, not read. */
  readonly ignored?: RegExp;
  /** Other names that files give to arrays, also behind a dot: theirs → that of the rules. */
  readonly renamed?: Readonly<Record<string, string>>;
  readonly shared?: readonly SharedArray[];
  /** @throws Error when the configuration asks for what this library does not do */
  build(config: Readonly<Record<string, unknown>>, options: BuildOptions): Architecture;
};

/** A token embedding that is the output too, unless the output has a matrix of its own. */
export function tiedHeadNames(tokens: string, head = "lm_head.weight"): SharedArray {
  return { names: [tokens, head], head };
}
