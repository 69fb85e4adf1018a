import type { NDArray, Tensor } from "@tsformers/engine";
import type { look } from "../../attention/view.ts";
import type { Context } from "../../nn/layer.ts";
import type { NameRule } from "./names.ts";

/** Arrays by the names that cases and outputs of the reference implementation have, such as `input_ids` and `logits`. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** What a checkpoint of one architecture holds, once its configuration is known. */
export type Architecture<Model = unknown> = {
  readonly model: Model;
  readonly names: readonly NameRule[];
  /** Buffers that files of this architecture may hold besides the parameters; they are computed, not read. */
  readonly ignored?: RegExp;
  /** Prefix that files of the bare model without its head leave out. */
  readonly prefix?: string;
  /** Second names of tied arrays: allowed when they hold the same elements. */
  readonly tied?: Readonly<Record<string, string>>;
  /** Other names that files give to arrays: theirs → that of the rules. */
  readonly renamed?: Readonly<Record<string, string>>;
  readonly probe: Probe;
};

/** What an input may hold: floats, or integers of a range; labels may also be −100, which is not counted. */
export type InputRule = { readonly dtype: "float32" | "int32"; readonly below?: number; readonly orIgnored?: boolean };

export const tokenInput = (vocabularySize: number): InputRule => ({ dtype: "int32", below: vocabularySize });
export const labelInput = (classes: number): InputRule => ({ dtype: "int32", below: classes, orIgnored: true });
export const maskInput: InputRule = { dtype: "int32", below: 2 };
export const positionInput: InputRule = { dtype: "int32", below: 2 ** 24 };
export const floatInput: InputRule = { dtype: "float32" };

/** A whole pass under the reference's names. */
export type Probe = {
  /** Inputs that it understands. */
  readonly inputs: Readonly<Record<string, InputRule>>;
  /** Results of which the rows marked in an input (1 = padding) are not compared: result → input. */
  readonly padded?: Readonly<Record<string, string>>;
  /**
   * Everything the pass computes, by name; `loss` among it when the inputs allow it. What is not used
   * costs nothing. `what` is the case's description in meta.json.
   */
  run(params: unknown, inputs: NamedTensors, context: Context, what: string): NamedTensors;
};

/** What building an architecture may depend on besides its configuration. */
export type BuildOptions = {
  /** Names of the arrays in the checkpoint. */
  readonly arrays: ReadonlyMap<string, NDArray>;
  /** What a pass may see. Verification takes the reference's way with queries that see nothing. */
  readonly look?: typeof look;
};

/** One family of checkpoints: how its configuration becomes a model. */
export type Format = {
  readonly modelType: string;
  readonly architectures: readonly string[];
  /** @throws Error when the configuration asks for what this library does not do */
  build(config: unknown, options: BuildOptions): Architecture;
};
