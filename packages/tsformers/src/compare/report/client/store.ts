import type { ReportData, TaskData, VariantData } from "../report-data.ts";
import { chipsOf } from "./chips.ts";

export type State = {
  readonly task: number;
  /** Words that a variant's label must contain. */
  readonly words: string;
  /** Names of the chips that are pressed. */
  readonly chips: ReadonlySet<string>;
  /** Variants that charts do not draw. */
  readonly hidden: ReadonlySet<string>;
};

/** More lines than these in a chart are not told apart at first sight. */
export const drawnAtFirst = 8;

/** What the reader chose, and who wants to know of it. */
export type Store = {
  readonly data: ReportData;
  state(): State;
  task(): TaskData;
  /** Variants of the task that the filter lets through, the best first. */
  matching(): readonly VariantData[];
  /** Those of them that charts draw. */
  drawn(): readonly VariantData[];
  slotOf(variant: string): number;
  set(change: Partial<State>): void;
  onChange(listener: () => void): void;
};

export function makeStore(data: ReportData): Store {
  const slots = slotsOf(data);
  const listeners: (() => void)[] = [];
  let state: State = { task: 0, words: "", chips: new Set(), hidden: firstHidden(data.tasks[0]) };
  const store: Store = {
    data,
    state: () => state,
    task: () => data.tasks[state.task]!,
    matching: () => {
      const words = state.words.toLowerCase().split(/\s+/);
      const pressed = chipsOf(store.task()).filter(({ name }) => state.chips.has(name));
      return store
        .task()
        .variants.filter(
          (one) =>
            words.every((word) => one.variant.toLowerCase().includes(word)) && pressed.every(({ has }) => has(one)),
        );
    },
    drawn: () => store.matching().filter(({ variant }) => !state.hidden.has(variant)),
    slotOf: (variant) => slots.get(variant) ?? 0,
    set: (change) => {
      state = { ...state, ...change };
      for (const listener of listeners) listener();
    },
    onChange: (listener) => void listeners.push(listener),
  };
  return store;
}

/** Which look a variant has: by its place; of many, those that are drawn at first have colours of their own. */
export function slotsOf({ variants, tasks }: Pick<ReportData, "variants" | "tasks">): Map<string, number> {
  const best = variants.length > drawnAtFirst ? (tasks[0]?.variants ?? []).map(({ variant }) => variant) : [];
  return new Map([...new Set([...best, ...variants])].map((variant, slot) => [variant, slot]));
}

/** Where there are many variants, charts show the best at first. */
export function firstHidden(task: TaskData | undefined): Set<string> {
  if (task === undefined || task.variants.length <= drawnAtFirst + 4) return new Set();
  return new Set(task.variants.slice(drawnAtFirst).map(({ variant }) => variant));
}
