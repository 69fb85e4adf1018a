import type { CompareEvent, ItemOutcome, WorkItem } from "../compare/execution/run-comparison.ts";
import { durationText } from "../compare/text/figures.ts";
import { counted } from "../compare/text/sentences.ts";
import { wrapLines } from "../compare/text/wrap.ts";
import { type ProgressState, type ProgressStream, renderBar, renderLine } from "../train/progress.ts";

/** Shows how far a comparison is: on a terminal a table that is redrawn, elsewhere lines. */
export type LiveTable = {
  show(event: CompareEvent): void;
  log(message: string): void;
  /** Leaves the last state on the screen. */
  done(): void;
};

type Row = { readonly item: WorkItem; readonly state?: ProgressState; readonly note?: string };

const redrawEveryMs = 100;
const lineEveryMs = 10_000;
const usualColumns = 80;
const usualRows = 24;

/**
 * @param options.stream Default: stderr
 * @param options.bold how names are made to stand out
 * @param options.now the time in milliseconds. Default: the clock
 */
export function openLiveTable(options: {
  readonly stream?: ProgressStream & { readonly rows?: number };
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly bold?: (text: string) => string;
  readonly now?: () => number;
}): LiveTable {
  const { stream = process.stderr, environment = process.env, bold = (text) => text, now = Date.now } = options;
  const isTerminal = stream.isTTY === true && environment.TERM !== "dumb";
  const color = isTerminal && !environment.NO_COLOR;
  const atWork = new Map<string, Row>();
  const finished = new Map<string, string[]>();
  const start = now();
  let [planned, ended, drawn, lastMs, lastLineMs] = [0, 0, 0, Number.NEGATIVE_INFINITY, start];
  let wasReused = 0;

  const erase = (): string => (drawn === 0 ? "" : `\u001b[${drawn}A\r\u001b[J`);
  const lines = (): string[] => {
    const columns = stream.columns ?? usualColumns;
    const room = Math.max((stream.rows ?? usualRows) - 4, 4);
    const cells = [...finished].slice(-Math.max(room - 2 * atWork.size - 1, 0));
    const width = Math.min(Math.max(0, ...cells.map(([name]) => name.length)), Math.floor(columns / 2));
    const table = cells.map(([name, scores]) => fit(`${name.padEnd(width)}  ${scores.join("  ")}`, columns));
    const bars = [...atWork.values()].flatMap(({ item, state, note }) => [
      bold(fit(nameOf(item), columns)),
      state === undefined ? fit(`  ${note ?? "beginning"}`, columns) : `  ${renderBar(state, columns - 2, { color })}`,
    ]);
    return [...table, ...bars, fit(overall(), columns)];
  };
  const overall = (): string => {
    const made = ended - wasReused;
    const left = made === 0 ? "" : `, about ${durationText(((now() - start) / made / 1000) * (planned - ended))} left`;
    return `${ended} of ${planned} done in ${durationText((now() - start) / 1000)}${left}`;
  };
  const draw = (force = false): void => {
    if (!isTerminal || planned === 0 || (!force && now() - lastMs < redrawEveryMs)) return;
    lastMs = now();
    const shown = lines();
    stream.write(`${erase()}${shown.join("\n")}\n`);
    drawn = shown.length;
  };
  const log = (message: string): void => {
    if (!isTerminal) return void stream.write(`${message}\n`);
    const before = erase();
    drawn = 0;
    stream.write(`${before}${message}\n`);
    draw(true);
  };
  const end = (item: WorkItem, outcome: ItemOutcome): void => {
    atWork.delete(keyOf(item));
    ended++;
    if (outcome !== "interrupted" && !("failure" in outcome) && outcome.reused) wasReused++;
    const name = [item.variant, item.task].join(" on ");
    if (item.kind !== "cost") finished.set(name, [...(finished.get(name) ?? []), shortOutcome(outcome)]);
    if (isTerminal) {
      if (outcome !== "interrupted" && "failure" in outcome) log(`${nameOf(item)}: failed: ${outcome.failure}`);
      draw(true);
    } else stream.write(`[${ended}/${planned}] ${nameOf(item)}: ${outcomeText(outcome)}\n`);
  };
  return {
    log,
    show: (event) => {
      if (event.kind === "planned") {
        const isFirst = planned === 0;
        planned = event.items;
        if (!isFirst) return draw(true);
        const at = event.jobs === 1 ? "one at a time" : `${event.jobs} at a time`;
        const line = `${counted(planned, "piece")} of work, ${at}, in ${event.folder}`;
        log(isTerminal ? wrapLines(line, stream.columns ?? usualColumns).join("\n") : line);
      } else if (event.kind === "note") log(event.text);
      else if (event.kind === "started") {
        atWork.set(keyOf(event.item), { item: event.item });
        draw();
      } else if (event.kind === "ended") end(event.item, event.outcome);
      else if (event.message.kind === "note") {
        if (isTerminal) atWork.set(keyOf(event.item), { item: event.item, note: event.message.message });
        else stream.write(`${nameOf(event.item)}: ${event.message.message}\n`);
        draw();
      } else {
        atWork.set(keyOf(event.item), { item: event.item, state: event.message });
        if (isTerminal) draw();
        else if (now() - lastLineMs >= lineEveryMs) {
          lastLineMs = now();
          stream.write(`${nameOf(event.item)}: ${renderLine(event.message)}\n`);
        }
      }
    },
    done: () => draw(true),
  };
}

function keyOf(item: WorkItem): string {
  return JSON.stringify(item);
}

/** `alibi on text, seed 0` */
function nameOf({ kind, task, variant, seed, pretrained, tried }: WorkItem): string {
  const what = `${variant} on ${task}`;
  if (kind === "cost") return `${what}, cost of a step`;
  const more = [...(pretrained ? ["pre-trained"] : []), ...(tried === undefined || tried === "" ? [] : [tried])];
  return [what, `seed ${seed}`, ...more].join(", ");
}

function outcomeText(outcome: ItemOutcome): string {
  if (outcome === "interrupted") return "interrupted";
  if ("failure" in outcome) return `failed: ${outcome.failure}`;
  const reused = outcome.reused ? " (taken from an earlier call)" : "";
  if ("costs" in outcome) return `measured at ${outcome.costs.map(({ length }) => length).join(", ")}${reused}`;
  if ("loss" in outcome) return `validation loss ${outcome.loss.toFixed(4)} after step ${outcome.step}${reused}`;
  const { seconds } = outcome.result;
  return `${shortOutcome(outcome)}${seconds === undefined ? "" : ` in ${durationText(seconds)}`}${reused}`;
}

/** The figures that count, without their names: `loss 1.234, 0.871`. */
function shortOutcome(outcome: ItemOutcome): string {
  if (outcome === "interrupted") return "–";
  if ("failure" in outcome) return "failed";
  if ("costs" in outcome) return "measured";
  if ("loss" in outcome) return outcome.loss.toFixed(3);
  return Object.entries(outcome.result.metrics)
    .slice(0, 2)
    .map(([name, value]) => (name === "loss" ? `loss ${value.toFixed(3)}` : value.toFixed(3)))
    .join(", ");
}

function fit(text: string, columns: number): string {
  return text.length < columns ? text : `${text.slice(0, Math.max(columns - 2, 0))}…`;
}
