import * as z from "zod";
import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import { dataOption, requireData } from "../data-option.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import { storedRows } from "../rows.ts";
import type { Splits } from "../splits.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

/** A document, and the number of its class. */
export type LabelledDocument = { readonly bytes: Uint8Array; readonly label: number };

/** Documents of some classes, as `readDocuments` finds them. */
export type Documents = {
  readonly classNames: readonly string[];
  readonly splits: Splits<readonly LabelledDocument[]>;
  /** The same for the same documents with the same names. */
  readonly identity: string;
};

export type ClassifyTextOptions = {
  readonly documents: Documents;
  /** Default: bytes. */
  readonly tokenizer?: Tokenizer | undefined;
  /** T; of longer documents, only the beginning is read. Default: 1024. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { length: 1024 };

/**
 * The class of a document, such as whether a review is positive, read byte by byte or character by character. A row is the beginning of the document,
 * as far as the length goes. Token 0 is padding.
 *
 * @source Tay et al. 2020, "Long Range Arena", §2.2.2, arXiv:2011.04006: reviews of IMDb (Maas et al. 2011), read byte by byte
 */
export function classifyTextTask(options: ClassifyTextOptions): LabelledTask {
  const { documents, tokenizer = byteTokenizer(), length: standard = defaults.length, seed = 0 } = options;
  const { splits, classNames, identity } = documents;
  const tokensOf = documentTokens(tokenizer);
  return labelledTask({
    name: "classify-text",
    vocabularySize: tokenizer.vocabularySize,
    tokenizer,
    classes: classNames.length,
    classNames,
    length: standard,
    seed,
    fingerprint: `classify-text tokens=${tokenizer.config.kind} ${identity} seed=${seed}`,
    source: storedRows({
      seed,
      splits,
      row: (document, length) => ({
        tokens: Array.from(tokensOf(document, length).subarray(0, length)),
        label: document.label,
      }),
    }),
  });
}

/** At least the first tokens of a document. Those of a tokenizer that is slow are kept. */
function documentTokens({ config, encode }: Tokenizer): (document: LabelledDocument, count: number) => ArrayOfNumbers {
  if (config.kind === "byte") return ({ bytes }) => bytes;
  const known = new Map<LabelledDocument, Int32Array>();
  return (document) => {
    const tokens = known.get(document) ?? encode(textOf(document));
    known.set(document, tokens);
    return tokens;
  };
}

type ArrayOfNumbers = Uint8Array | Int32Array;

function textOf({ bytes }: LabelledDocument): string {
  return new TextDecoder().decode(bytes);
}

export type ClassifyTextSettings = {
  readonly data?: string;
  readonly tokens?: "byte" | "character";
  readonly length?: number;
  readonly seed?: number;
};

export const classifyTextEntry: TaskEntry<"classify-text", ClassifyTextSettings> = /* @__PURE__ */ taskEntry({
  name: "classify-text",
  title: "Text classification",
  category: "data",
  summary: "tell the class of documents from a folder or archive with a folder for each class (Long Range Arena: IMDb)",
  options: () =>
    z.strictObject({
      data: dataOption(
        "a folder, .zip or .tar.gz with a folder of text files for each class; folders train, valid and test above them are its splits, otherwise a tenth each is for validation and test",
      ),
      tokens: z.enum(["byte", "character"]).default("byte").describe("what one token is"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, tokens, ...rest }, context) => {
    const { readDocuments } = await import("#files");
    const documents = readDocuments(requireData("classify-text", data, "a folder or archive of documents"), context);
    const made = (): Tokenizer | undefined =>
      tokens === "byte" ? undefined : characterTokenizer(documents.splits.train.map(textOf).join(""));
    return classifyTextTask({ ...rest, documents, tokenizer: context.tokenizer ?? made() });
  },
});
