import type { ReportData } from "../report-data.ts";
import { h } from "./dom.ts";
import { bytesText, durationText, grouped, listed } from "./format.ts";

/** Title, result, and what was asked. */
export function header(data: ReportData): HTMLElement {
  const { title, sentences, tasks } = data;
  const runs = tasks.flatMap((task) => task.runs);
  const failed = runs.filter((run) => "failure" in run).length;
  const status =
    runs.length === 0
      ? "Nothing was trained: sizes and costs only."
      : data.complete
        ? `${failed === 0 ? "Complete" : "Ended"}: ${grouped(runs.length - failed)} of ${grouped(runs.length)} runs finished${failed === 0 ? "" : `, ${failed} failed`}.`
        : `Not complete: ${grouped(runs.length)} runs so far${failed === 0 ? "" : `, ${failed} of them failed`}. Ranks may change.`;
  return h(
    "header",
    { class: "top" },
    h("h1", {}, title),
    sentences.length === 0
      ? undefined
      : h("ul", { class: "sentences" }, ...sentences.map((sentence) => h("li", {}, sentence))),
    h("p", { class: data.complete && failed === 0 ? "status" : "status warn" }, status),
    h(
      "dl",
      { class: "facts" },
      ...facts(data).flatMap(([name, text]) => [h("div", {}, h("dt", {}, name), h("dd", {}, text))]),
    ),
    ...tasks.map(({ about }) =>
      h(
        "details",
        {},
        h("summary", {}, `An example row of ${about.title}`),
        h("pre", { class: "example" }, about.example.input),
        about.example.expected === undefined
          ? undefined
          : h("p", {}, "Expected: ", h("code", {}, about.example.expected)),
        h("p", {}, `Scored: ${about.example.scored}.`),
      ),
    ),
  );
}

function facts({
  tasks,
  variants,
  budget,
  seeds,
  environment,
  startedAt,
  finishedAt,
}: ReportData): (readonly [string, string])[] {
  const { cpu, cores, memoryBytes, platform, node, tsformers, onnxruntime } = environment;
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  const isTrained = tasks.some(({ runs }) => runs.length > 0);
  const byText = new Map<string, string[]>();
  for (const { about } of tasks) {
    const others = about.lengths.filter((length) => length !== about.trainLength);
    const text = isTrained
      ? `trained at ${grouped(about.trainLength)}${others.length === 0 ? "" : `, also measured at ${listed(others.map(grouped))}`}`
      : `measured at ${listed(about.lengths.map(grouped))}`;
    byText.set(text, [...(byText.get(text) ?? []), about.label]);
  }
  const lengths = [...byText].map(([text, labels]) => (byText.size === 1 ? text : `${listed(labels)}: ${text}`));
  return [
    [tasks.length === 1 ? "Task" : "Tasks", tasks.map(({ about }) => about.title).join("; ")],
    ["Variants", String(variants.length)],
    ...(isTrained
      ? [
          ["Budget of each run", budget] as const,
          [
            "Seeds",
            seeds === 1 ? "1: differences may be chance" : `${seeds}; intervals and bands are over seeds`,
          ] as const,
        ]
      : []),
    ["Tokens in a row", lengths.join("; ")],
    ["Machine", `${cpu}, ${cores} cores, ${bytesText(memoryBytes)}, ${platform}`],
    ["Made", `${dateText(finishedAt)}${seconds > 0 ? `, in ${durationText(seconds)}` : ""}`],
    ["Versions", `tsformers ${tsformers}, ONNX Runtime ${onnxruntime}, Node ${node}`],
  ];
}

function dateText(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : `${iso.slice(0, 16).replace("T", " ")} UTC`;
}
