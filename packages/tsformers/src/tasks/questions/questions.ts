import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { crc32c } from "../../io/crc32c.ts";
import { FileError } from "../../io/file-error.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { dataOption } from "../data-option.ts";
import { type Draw, distinct, draws } from "../draws.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { usualRows } from "../labelled.ts";
import { exactAccuracy, exactMatch, loss, spanLoss, tokenAccuracy, tokenF1 } from "../metric.ts";
import { causalRow, type PairRow, packed, pairsForm } from "../row-forms.ts";
import { generatedRows, type RowForm, type RowSource, rowsView } from "../rows.ts";
import { type SpanRow, spanForm } from "../span-form.ts";
import type { Splits } from "../splits.ts";
import type { PairBatch, Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "../task-entry.ts";
import { normalWords, type Piece, piecesOf } from "./pieces.ts";
import type { DocumentQuestion } from "./read-squad.ts";

export type QuestionsOptions = {
  /** How many different invented words there are. Default: 64. */
  readonly words?: number;
  /** Tokens of a passage; what does not fit a row is cut away. Default: as many as fit. */
  readonly passage?: number;
  /** Sentences of a passage that say something of a name, at most. Default: half of all. */
  readonly facts?: number;
  /** T of a training row. Default: 256. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { words: 64, length: 256 };

const known = ["<pad>", "<q>", "</q>", ".", ",", "?", "the", "of", "is", "what"] as const;
const tokenOf = new Map<string, number>(known.map((word, token) => [word, token]));
const [start, separator, stop] = [tokenOf.get("<q>")!, tokenOf.get("</q>")!, tokenOf.get(".")!];
const first = known.length;
/** Words of an invented value at most, and of a filling sentence. */
const [mostValues, mostFilling] = [3, 6];
/** Of spans that are told as answers to people's questions. */
const longestAnswer = 30;

/**
 * Questions that a span of a passage answers. Passages and questions are made of invented words: sentences such as `the bako of luri is mesa tavo .`
 * stand among sentences of any words; `what is the bako of luri ?` asks for `mesa tavo`. A quarter of the words are names, such as `luri`; each
 * stands in one sentence at most. Rows are `<q> question </q> passage`.
 *
 * As `spans` an answer is told by its first and last token, as `pairs` it is written, up to a full stop.
 *
 * @param options.questions by people, in place of invented ones in evaluation; their words count as invented ones, drawn by a checksum of their letters
 */
export function questionsTask(
  options: QuestionsOptions & { readonly questions?: Omit<Splits<readonly DocumentQuestion[]>, "train"> } = {},
): Task<Required<Pick<TaskViews, "spans" | "pairs">>> {
  const { words, passage, facts = Number.POSITIVE_INFINITY, length, seed = 0, questions } = { ...defaults, ...options };
  const [least, shortest] = [4 * mostFilling, questionLength + factLength(mostValues) + 1];
  if (!(Number.isInteger(words) && words >= least))
    throw new RangeError(`questions: words must be an integer ≥ ${least}, got ${words}`);
  const made = (key: RandomKey, rowLength: number): SpanRow => {
    const room = passage ?? rowLength - questionLength;
    if (rowLength < shortest || room < factLength(mostValues))
      throw new RangeError(
        `questions: a question and a passage need a length of at least ${shortest}, got ${Math.min(rowLength, questionLength + room)}`,
      );
    return cutTo(rowLength, inventedRow(draws(key), room, words, facts));
  };
  const invented = generatedRows(made, { seed });
  const most = { answers: 1, words: mostValues };
  const asked = questions && { valid: questions.valid.map(encoded), test: questions.test.map(encoded) };
  for (const { answers } of [...(asked?.valid ?? []), ...(asked?.test ?? [])]) {
    most.answers = Math.max(most.answers, answers.length);
    for (const { length } of answers) most.words = Math.max(most.words, length);
  }
  const source: RowSource<SpanRow> = {
    train: invented.train,
    eval: (split, index, rowLength) => {
      if (asked === undefined) return invented.eval(split, index, rowLength);
      const one = asked[split][index];
      return one && askedRow(one, rowLength, words);
    },
  };
  const about = {
    name: "questions",
    length,
    limit: asked === undefined ? usualRows : { rows: Number.MAX_SAFE_INTEGER },
  };
  return {
    ...{ name: "questions", length, vocabularySize: first + words, usualView: "spans", endToken: stop },
    metrics: [spanLoss, exactMatch, tokenF1],
    symbolOf: (token) => known[token] ?? inventedWord(token - first),
    fingerprint: [
      `questions words=${words} passage=${passage ?? "row"} facts=${facts}`,
      ...(questions === undefined ? [] : [fingerprintOf({ train: [], ...questions })]),
      `seed=${seed}`,
    ].join(" "),
    views: {
      spans: {
        ...rowsView({ ...about, source, form: spanForm(most) }),
        separator,
        longest: questions === undefined ? mostValues : longestAnswer,
      },
      pairs: {
        ...rowsView({ ...about, source: written(invented), form: shortPairsForm(mostValues + 1) }),
        metrics: [loss, tokenAccuracy, exactAccuracy],
      },
    },
  };
}

/** `<q> what is the bako of luri ? </q>` */
const questionLength = 9;

/** `the bako of luri is mesa tavo .` */
function factLength(values: number): number {
  return 6 + values;
}

type Sentence = { readonly tokens: readonly number[]; readonly fact?: Fact };
type Fact = { readonly kind: number; readonly name: number; readonly value: readonly number[] };

/** A row with a passage of at most `room` tokens: sentences in any order, of which one to `most` say something of a name. */
function inventedRow(draw: Draw, room: number, words: number, most: number): SpanRow {
  const count = Math.floor(words / 4);
  const names = distinct(draw, count, count);
  const other = () => first + count + draw(words - count);
  const several = (least: number, most: number) => Array.from({ length: least + draw(most - least + 1) }, other);
  const spell = (text: string) => text.split(" ").map((word) => tokenOf.get(word)!);
  const told = (): Sentence => {
    const [kind, name, value] = [other(), first + names.pop()!, several(1, mostValues)];
    return {
      tokens: [...spell("the"), kind, ...spell("of"), name, ...spell("is"), ...value, stop],
      fact: { kind, name, value },
    };
  };
  const sentences = [told()];
  for (let [used, facts] = [sentences[0]!.tokens.length, 1]; used < room; ) {
    const isFact = draw(2) === 0 && facts < Math.min(most, count);
    const sentence = isFact ? told() : { tokens: [...several(3, mostFilling), stop] };
    used += sentence.tokens.length;
    if (isFact && used > room) break;
    if (isFact) facts++;
    sentences.push(sentence);
  }
  // The last one may be cut, unless it says something.
  const last = sentences.at(-1)!.fact === undefined && sentences.length > 1 ? [sentences.pop()!] : [];
  const ordered = [...distinct(draw, sentences.length, sentences.length).map((at) => sentences[at]!), ...last];
  const facts = ordered.flatMap(({ fact }) => fact ?? []);
  const { kind, name, value } = facts[draw(facts.length)]!;
  const question = [start, ...spell("what is the"), kind, ...spell("of"), name, ...spell("?"), separator];
  const asked = ordered.findIndex(({ fact }) => fact?.name === name);
  const before = ordered.slice(0, asked).reduce((sum, { tokens }) => sum + tokens.length, 0);
  const from = question.length + before + factLength(0) - 1;
  const tokens = [...question, ...ordered.flatMap(({ tokens }) => tokens).slice(0, room)];
  return {
    tokens,
    target: [from, from + value.length - 1],
    words: tokens.map((token) => (token < first ? 0 : token)),
    answers: [value],
  };
}

/** A row of at most `length` tokens. An answer that is cut is not in it. */
function cutTo(length: number, { tokens, target, words, answers }: SpanRow): SpanRow {
  const isIn = target !== undefined && target[1] < length;
  return { tokens: tokens.slice(0, length), words: words.slice(0, length), answers, target: isIn ? target : undefined };
}

/** The answer of a row, which is written up to a full stop, also if it was cut away. */
function written(rows: RowSource<SpanRow>): RowSource<PairRow> {
  const pair = ({ tokens, answers }: SpanRow): PairRow => ({
    source: tokens,
    ...causalRow([start, ...answers[0]!, stop], () => true),
  });
  return {
    train: (place, length) => pair(rows.train(place, length)),
    eval: (split, index, length) => pair(rows.eval(split, index, length)!),
  };
}

/** Pairs whose targets have at most so many tokens, whatever the length of the source. */
function shortPairsForm(most: number): RowForm<PairRow, PairBatch> {
  return {
    ...pairsForm,
    pack: (rows, batchSize, length) => {
      const sources = (of: (row: PairRow) => readonly number[], dtype: "int32" | "float32") =>
        packed(rows.map(of), dtype, batchSize, length);
      const {
        source: _,
        sourceWeights: __,
        ...targets
      } = pairsForm.pack(
        rows.map((row) => ({ ...row, source: [] })),
        batchSize,
        most,
      );
      return {
        ...targets,
        source: sources(({ source }) => source, "int32"),
        sourceWeights: sources(({ source }) => source.map(() => 1), "float32"),
      };
    },
  };
}

/** What a question by people is before it is known how long rows are. */
type AskedQuestion = {
  readonly question: readonly Piece[];
  readonly document: readonly Piece[];
  /** Of the first accepted answer, among the pieces of the document. */
  readonly target: readonly [number, number];
  /** Words in normal form. */
  readonly answers: readonly (readonly string[])[];
};

function encoded({ document, question, answers }: DocumentQuestion): AskedQuestion {
  const pieces = piecesOf(document);
  const { text, at } = answers[0]!;
  const begin = pieces.findIndex((piece) => piece.at + piece.text.length > at);
  const end = pieces.findLastIndex((piece) => piece.at < at + text.length);
  const target = [begin, Math.max(begin, end)] as const;
  return {
    question: piecesOf(question),
    document: pieces,
    target,
    answers: answers.map(({ text }) => normalWords(text)),
  };
}

/** @throws RangeError when the question does not fit */
function askedRow({ question, document, target, answers }: AskedQuestion, length: number, words: number): SpanRow {
  const offset = question.length + 2;
  if (offset >= length)
    throw new RangeError(`questions: a question of ${question.length} words does not fit a length of ${length}`);
  const token = ({ text, word }: Piece): number => {
    const lower = text.toLowerCase();
    return tokenOf.get(lower) ?? first + (crc32c(new TextEncoder().encode(word || lower)) % words);
  };
  const numbers = new Map([["", 0]]);
  const numberOf = (word: string): number => {
    if (!numbers.has(word)) numbers.set(word, numbers.size);
    return numbers.get(word)!;
  };
  const shown = document.slice(0, length - offset);
  return cutTo(length, {
    tokens: [start, ...question.map(token), separator, ...shown.map(token)],
    words: [...Array.from({ length: offset }, () => 0), ...shown.map(({ word }) => numberOf(word))],
    target: [offset + target[0], offset + target[1]],
    answers: answers.map((list) => list.map(numberOf)),
  });
}

const consonants = "bdfgklmnprstvz";
const vowels = "aeiou";
const syllables: readonly string[] = Array.from(consonants).flatMap((c) => Array.from(vowels, (v) => c + v));

/** `bado`, `luri`: another word for each number. */
function inventedWord(number: number): string {
  const base = syllables.length;
  const high = Math.floor(number / base);
  const front = high < base ? "" : inventedWord(Math.floor(high / base));
  // 11 has no factor in common with the number of syllables.
  return front + syllables[(number * 11) % base]! + syllables[(number + high) % base]!;
}

export type QuestionsSettings = QuestionsOptions & { readonly data?: string };

export const questionsEntry: TaskEntry<"questions", QuestionsSettings> = /* @__PURE__ */ taskEntry({
  name: "questions",
  title: "Questions about passages",
  category: "generated",
  summary: "answer questions by a span of a passage, or write the answer",
  options: () =>
    z.strictObject({
      words: symbolCount().default(defaults.words).describe("how many different invented words there are"),
      passage: positionCount().optional().describe("tokens of a passage; rows cut it. Default: as many as fit a row"),
      facts: positionCount()
        .optional()
        .describe(
          "sentences of a passage that say something of a name, at most; with 1 any name will do. Default: half of all",
        ),
      data: dataOption("questions for evaluation in SQuAD's layout, .json or .json.gz; training stays invented"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, ...settings }) => {
    if (data === undefined) return questionsTask(present(settings));
    const [{ readDataTexts }, { readSquad }] = await Promise.all([import("#files"), import("./read-squad.ts")]);
    const [file, other] = readDataTexts(data, (name) => name.endsWith(".json"));
    if (file === undefined) throw new FileError(data, "expected a .json file in SQuAD's layout in it");
    if (other !== undefined) throw new FileError(data, `has ${file.name} and ${other.name}; give one of them`);
    const documents = readSquad(file.text, file.path);
    const isValid = (_: unknown, index: number) => index % 10 === 9;
    const questions = {
      valid: documents.filter(isValid).flat(),
      test: documents.filter((of, index) => !isValid(of, index)).flat(),
    };
    if (questions.valid.length === 0) throw new FileError(data, "expected at least ten documents with questions");
    return questionsTask({ ...present(settings), questions });
  },
});
