import { attentionBench } from "./attention.ts";
import type { Row } from "./bench.ts";
import type { BenchReport } from "./machine.ts";
import { formatNumber } from "./table.ts";

/** docs/performance.md: what one run of `npm run bench -- all --peers --json` gave, bench by bench. */
export function performancePage({ machine, benches }: BenchReport): string {
  const { processor, cores, load, node } = machine;
  return [
    "# Performance",
    "",
    "Made by `npm run bench -- all --peers --json`, or some benches in place of `all`, and kept in [bench/results.json](../bench/results.json): each",
    "table is from one run, ours and the peer's in turn. A ratio above 1 means ours is better. Shares are those of the rate that matrix products reach in the same run (the first table): of the machine's peak,",
    "which is the fastest side's, and of ONNX Runtime's own. What is measured, and how: [bench/README.md](../bench/README.md).",
    "",
    `On ${cores} × ${processor}, Node ${node.replace(/^v/, "")}; load at the start ${load}.`,
    ...benches.flatMap(({ name, seconds, failure, rows }) => [
      "",
      `## ${name}`,
      "",
      `Took ${Math.round(seconds)} s.${failure === undefined ? "" : ` Failed: ${failure.split("\n")[0]}`}`,
      ...(rows.length === 0 ? [] : ["", ...tableOf(rows, name === attentionBench.name)]),
    ]),
    "",
  ].join("\n");
}

function tableOf(rows: readonly Row[], isByLength: boolean): string[] {
  const lengthOf = ({ length }: Row): string[] => (isByLength ? [length === undefined ? "–" : String(length)] : []);
  const heading = ["what", ...(isByLength ? ["length"] : []), "metric", "ours", "peer", "unit", "ratio", "peer is"];
  return [
    `| ${heading.join(" | ")} |`,
    `|${"---|".repeat(heading.length)}`,
    ...rows.map((row) => {
      const ratio = row.ratio === null ? "–" : `${row.ratio.toFixed(2)} ×`;
      const cells = [row.name, ...lengthOf(row), row.metric, formatNumber(row.ours), formatNumber(row.peer), row.unit];
      return `| ${[...cells, ratio, row.peerName ?? "–"].join(" | ")} |`;
    }),
  ];
}
