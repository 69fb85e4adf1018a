import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import { chosen, type Draw, draws } from "../draws.ts";
import { grammarText, names } from "../text/grammar.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { causalRow, nextForm } from "../row-forms.ts";
import { generatedRows, rowsView, usualLimit } from "../rows.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

export type NeedleOptions = {
  /** Where the sentence stands in the text: 0 at its beginning, 1 at its end. Default: anywhere, uniformly distributed. */
  readonly needleDepth?: number;
  /** Digits of the number, which is uniformly distributed. Default: 4. */
  readonly digits?: number;
  /** T, characters of a training row. Default: 512. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { digits: 4, length: 512 };

const needleOf = (name: string, number: string): string => `The secret number of ${name} is ${number}. `;
const questionOf = (name: string): string => `\nWhat is the secret number of ${name}? `;

/** Every character that the text and the sentences use. */
function alphabet(): string {
  return (
    grammarText({ characters: 20_000, seed: 1 }) +
    names.map((name) => needleOf(name, "0123456789") + questionOf(name)).join("")
  );
}

/**
 * A needle in a haystack: English-like text of any length, in which one sentence such as `The secret number of Ada is 4271. ` stands; at the
 * end the number is asked for. Only the digits of the answer are scored. Tokens are characters.
 *
 * The text is {@link grammarText} cut to what the row has room for; the sentence stands at the beginning of one of its sentences, the one
 * nearest to `needleDepth` times the text's length.
 *
 * @source Kamradt 2023, "Needle In A Haystack: Pressure Testing LLMs", github.com/gkamradt/LLMTest_NeedleInAHaystack; Mohtashami & Jaggi
 *   2023, "Landmark Attention", §4.2, arXiv:2305.16300 (a pass key of digits)
 */
export function needleTask(options: NeedleOptions = {}): Task<Required<Pick<TaskViews, "next">>> {
  const { needleDepth: depth, digits, length: standard, seed = 0 } = { ...defaults, ...options };
  if (depth !== undefined && !(depth >= 0 && depth <= 1)) {
    throw new RangeError(`needle: needleDepth must be a number from 0 to 1, got ${depth}`);
  }
  if (!(Number.isInteger(digits) && digits >= 1)) {
    throw new RangeError(`needle: digits must be an integer ≥ 1, got ${digits}`);
  }
  const tokenizer: Tokenizer = characterTokenizer(alphabet());
  return {
    name: "needle",
    vocabularySize: tokenizer.vocabularySize,
    length: standard,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    tokenizer,
    fingerprint: `needle depth=${depth ?? "any"} digits=${digits} seed=${seed}`,
    views: {
      next: rowsView({
        name: "needle",
        length: standard,
        limit: usualLimit / 4,
        form: nextForm,
        source: generatedRows(
          (key: RandomKey, length) => {
            const tokens = Array.from(tokenizer.encode(needleText(draws(key), length + 1, digits, depth)));
            return causalRow(tokens, (index) => index >= tokens.length - digits);
          },
          { seed },
        ),
      }),
    },
  };
}

/** A row of `characters` characters, which ends with the answer. */
function needleText(draw: Draw, characters: number, digits: number, depth: number | undefined): string {
  const name = chosen(draw, names);
  const number = Array.from({ length: digits }, () => draw(10)).join("");
  const [needle, end] = [needleOf(name, number), questionOf(name) + number];
  const room = characters - needle.length - end.length;
  if (room < 0) {
    throw new RangeError(
      `needle: a number of ${digits} digits needs a length of at least ${characters - 1 - room}, got ${characters - 1}`,
    );
  }
  const text = grammarText({ characters: room, seed: draw(2 ** 31) });
  const wanted = room * (depth ?? draw(2 ** 24) / 2 ** 24);
  const starts = [0, ...Array.from(text.matchAll(/[.?!]"? |\n\n/g), ({ index, 0: { length } }) => index + length)];
  const place = starts.reduce((best, start) => (Math.abs(start - wanted) < Math.abs(best - wanted) ? start : best));
  return text.slice(0, place) + needle + text.slice(place) + end;
}

export const needleEntry: TaskEntry<"needle", NeedleOptions> = /* @__PURE__ */ taskEntry({
  name: "needle",
  title: "Needle in a haystack",
  category: "generated",
  summary: "find a number that one sentence of a long text gives",
  options: () =>
    z.strictObject({
      needleDepth: z
        .number({ error: "expected a number from 0 to 1" })
        .min(0)
        .max(1)
        .optional()
        .describe("where the sentence stands, from 0 (beginning) to 1 (end of the text). Default: anywhere"),
      digits: count(100, "a number to be remembered").default(defaults.digits).describe("digits of the number"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => needleTask(present(settings)),
});
