import { it } from "vitest";
import { adviceOf } from "../../src/compare/advice.ts";
import { listops, madeComparison, recall, richComparison, text } from "./measured-fixture.ts";
it("look", () => {
  const rich = richComparison();
  const print = (title: string, c: any, o = {}) => console.log(`--- ${title}\n${adviceOf(c, o).join("\n")}`);
  print("rich", rich);
  print("rich, text, 8192", { ...rich, tasks: [text] }, { length: 8192 });
  print("rich, text, 1024", { ...rich, tasks: [text] }, { length: 1024 });
  print("measure only", { ...rich, runs: [], tasks: [text] });
  print("nobody", madeComparison([listops], [{ label: "softmax", scores: { listops: [0.17, 0.16, 0.18] } }, { label: "linear", model: { kind: "gpt", mixer: { kind: "linear" } }, scores: { listops: [0.15, 0.17, 0.16] } }]));
  print("easy", madeComparison([recall], [{ label: "softmax", stateBytes: 1e6, scores: { [recall.label]: [1, 1, 1] } }, { label: "linear", stateBytes: 2e4, model: { kind: "gpt", mixer: { kind: "linear" } }, scores: { [recall.label]: [1, 1, 1] } }]));
  print("one seed", { ...madeComparison([text], [{ label: "softmax", scores: { text: [2.3] }, steps: { 512: [10e3, 4e8] } }, { label: "linear", model: { kind: "gpt", mixer: { kind: "linear" } }, scores: { text: [2.2] }, steps: { 512: [5e3, 4e8] } }]), complete: false });
  print("no full", madeComparison([text], [{ label: "a", model: { kind: "reformer" }, scores: { text: [2.3, 2.31] } }, { label: "linear", model: { kind: "gpt", mixer: { kind: "linear" } }, scores: { text: [2.2, 2.21] } }]));
});
