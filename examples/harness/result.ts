/** What an example reached. Its JSON is in `examples/results`; `docs/results.md` is made from all of them. */
export type Result = {
  /** What is measured, with its unit and data: `bits per character, grammar text`. */
  readonly measure: string;
  readonly better: "less" | "more";
  /** The system. */
  readonly ours: number;
  /** A plain model of equal size, trained in the same way. */
  readonly plain: number;
  /** What the plain model is. */
  readonly plainIs: string;
  /** What ours must reach. */
  readonly target: number;
  readonly reached: boolean;
  /** Layers, width, parameters, steps: `12 layers of 48, 0.4M parameters, 600 steps`. */
  readonly size: string;
  /** What the paper reached at its scale. */
  readonly paper: string;
  /** Further figures, by name. */
  readonly figures?: Readonly<Record<string, number | string>>;
};

/** A result in which the target is compared. */
export function resultOf(given: Omit<Result, "reached">): Result {
  const { ours, plain, target, figures } = given;
  const reached = given.better === "less" ? ours <= target : ours >= target;
  const rounded = Object.entries(figures ?? {}).map(([name, value]) => [
    name,
    typeof value === "number" ? round(value) : value,
  ]);
  return {
    ...given,
    ours: round(ours),
    plain: round(plain),
    target: round(target),
    ...(figures !== undefined && { figures: Object.fromEntries(rounded) }),
    reached,
  };
}

/** Four digits: more are noise. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}

export function formatResult(name: string, result: Result): string {
  const { measure, better, ours, plain, plainIs, target, reached, size, paper, figures = {} } = result;
  const wanted = better === "less" ? "at most" : "at least";
  return [
    `${name}: ${measure}, ${better} is better (${size})`,
    `  ours    ${ours}`,
    `  plain   ${plain}  ${plainIs}`,
    `  target  ${wanted} ${target}: ${reached ? "reached" : "MISSED"}`,
    `  paper   ${paper}`,
    ...Object.entries(figures).map(([figure, value]) => `  ${figure}: ${value}`),
  ].join("\n");
}

const missed = (reached: boolean): string => (reached ? "" : " (target missed)");

/** All results as a Markdown table, by name. @param further those of other seeds, by name */
export function resultsTable(
  results: Readonly<Record<string, Result>>,
  further: Readonly<Record<string, readonly Result[]>>,
): string {
  const rows = Object.entries(results)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, { measure, better, ours, plain, plainIs, target, reached, size, paper, figures = {} }]) => {
      const more = Object.entries(figures).map(([figure, value]) => `${figure}: ${value}`);
      const others = further[name] ?? [];
      const ofOurs = [
        `**${ours}**${missed(reached)}`,
        ...others.map((other) => `${other.ours}${missed(other.reached)}`),
      ];
      const ofPlain = [plain, ...others.map((other) => other.plain)];
      const cells = [
        `[${name}](../examples/systems/${name}.ts)`,
        `${measure} (${better} is better)`,
        ofOurs.join("; "),
        `${ofPlain.join("; ")}, ${plainIs}`,
        String(target),
        paper,
        [size, ...more].join("; "),
      ];
      return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    });
  return [
    "# What the systems reach",
    "",
    "Made from the JSON in `examples/results`, which `npm run examples` writes. Each example trains a system and a plain model of equal size on the work that the",
    "system is for, and fails when the target is missed. The sizes are those that two cores train in minutes: nothing here is the paper's scale.",
    "Figures are of seed 0, then of further seeds where `npm run examples -- NAME --seed N` was run.",
    "",
    "| example | measure | system | plain model | target | paper, at its scale | size and more |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
