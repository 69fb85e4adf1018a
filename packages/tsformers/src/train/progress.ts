/** What a progress display shows. */
export type ProgressState = {
  /** Number of updates so far, of `totalSteps`. */
  readonly step: number;
  readonly totalSteps: number;
  readonly loss: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
};

/** Display of a run's progress: a bar that is redrawn on a terminal, a line from time to time elsewhere. */
export type Progress = {
  update(state: ProgressState): void;
  /** Shows a message on a line of its own, without disturbing the bar. */
  log(message: string): void;
  /** Ends the bar's line; with a state, shows it last. */
  done(state?: ProgressState): void;
};

/** The part of `process.stderr` that a display needs. */
export type ProgressStream = {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
};

const clearLine = "\r\u001b[2K";
const defaultColumns = 80;

/**
 * Opens a progress display on a stream: a bar if it is a terminal, plain lines if not.
 *
 * The bar is redrawn at most ten times per second and always fits the terminal's current width; plain lines come at most
 * once per `lineEveryMs`. `NO_COLOR` (set and not empty) or `TERM=dumb` in the environment turn off colours.
 *
 * @param options.lineEveryMs Default: 10,000
 * @param options.now the time in milliseconds. Default: the clock
 */
export function openProgress(
  options: {
    stream?: ProgressStream;
    environment?: Readonly<Record<string, string | undefined>>;
    lineEveryMs?: number;
    now?: () => number;
  } = {},
): Progress {
  const { stream = process.stderr, environment = process.env, lineEveryMs = 10_000, now = Date.now } = options;
  const isTerminal = stream.isTTY === true && environment.TERM !== "dumb";
  const color = isTerminal && !environment.NO_COLOR;
  const everyMs = isTerminal ? 100 : lineEveryMs;
  let lastMs = Number.NEGATIVE_INFINITY;
  let shown = "";

  const show = (state: ProgressState): void => {
    lastMs = now();
    if (isTerminal) {
      shown = renderBar(state, stream.columns ?? defaultColumns, { color });
      stream.write(clearLine + shown);
    } else {
      stream.write(`${renderLine(state)}\n`);
    }
  };

  return {
    update: (state) => {
      if (now() - lastMs >= everyMs) show(state);
    },
    log: (message) => {
      stream.write(isTerminal ? `${clearLine}${message}\n${shown}` : `${message}\n`);
    },
    done: (state) => {
      if (state) show(state);
      if (isTerminal && shown) stream.write("\n");
      shown = "";
    },
  };
}

/**
 * One line for a log: `step 120/1000 · loss 2.3456 · 45.2k tokens/s · 3m10s left`.
 */
export function renderLine(state: ProgressState): string {
  return [`step ${state.step}/${state.totalSteps}`, ...measurements(state)].join(" · ");
}

/**
 * One line for a terminal, never wider than `columns − 1` so that it cannot wrap.
 *
 * Measurements that do not fit are dropped from the right, the percentage stays; the bar takes up to 30 columns of the remaining space,
 * and is left out if that is less than 8.
 */
export function renderBar(state: ProgressState, columns: number, options: { color?: boolean } = {}): string {
  const width = Math.max(columns - 1, 0);
  const fraction = state.totalSteps > 0 ? Math.min(Math.max(state.step / state.totalSteps, 0), 1) : 1;
  const parts = [
    `${Math.floor(fraction * 100)}%`.padStart(4),
    `${state.step}/${state.totalSteps}`,
    ...measurements(state),
  ];
  while (parts.length > 1 && parts.join("  ").length > width) parts.pop();
  const words = parts.join("  ").slice(0, width);

  const room = width - words.length - 1;
  if (room < 8) return words;
  const barWidth = Math.min(room, 30);
  const filled = Math.round(fraction * barWidth);
  const done = "█".repeat(filled);
  const rest = "░".repeat(barWidth - filled);
  return options.color ? `\u001b[36m${done}\u001b[2m${rest}\u001b[0m ${words}` : `${done}${rest} ${words}`;
}

function measurements(state: ProgressState): string[] {
  return [
    `loss ${state.loss.toFixed(4)}`,
    `${shortCount(state.tokensPerSecond)} tokens/s`,
    `${shortDuration(state.secondsLeft)} left`,
  ];
}

/** `950`, `1.2k`, `45.2k`, `1.3M`. */
export function shortCount(count: number): string {
  if (!Number.isFinite(count)) return "?";
  if (count < 999.5) return count.toFixed(0);
  if (count < 999_950) return `${(count / 1000).toFixed(1)}k`;
  return `${(count / 1e6).toFixed(1)}M`;
}

/** `45s`, `3m10s`, `2h05m`, `3d04h`. */
export function shortDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.max(Math.round(seconds), 0);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d${two(Math.floor((whole % 86_400) / 3600))}h`;
}
