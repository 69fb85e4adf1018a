// The page: hands the text to the trainer and draws the loss as it falls.
import type { WebDeviceName } from "@tsformers/engine/web";
import type { News, Order } from "./trainer.ts";

const form = document.querySelector("form")!;
const button = document.querySelector("button")!;
const curve = document.querySelector("polyline")!;
const status = document.querySelector<HTMLOutputElement>("#status")!;
const written = document.querySelector<HTMLElement>("#written")!;

const trainer = new Worker(new URL("./trainer.ts", import.meta.url), { type: "module" });
let losses: number[] = [];
let steps = 0;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  steps = Number(fields.get("steps"));
  losses = [];
  written.textContent = "";
  button.disabled = true;
  status.value = "loading ONNX Runtime …";
  const order: Order = { text: String(fields.get("text")), steps, device: fields.get("device") as WebDeviceName };
  trainer.postMessage(order);
});

trainer.addEventListener("message", ({ data }: MessageEvent<News>) => {
  if (data.kind === "step") showStep(data);
  else if (data.kind === "text") written.textContent += data.piece;
  else {
    button.disabled = false;
    if (data.kind === "failed") status.value = data.message;
  }
});
trainer.addEventListener("error", ({ message }) => {
  status.value = message;
});

function showStep({ step, loss, tokensPerSecond }: News & { kind: "step" }): void {
  losses.push(loss);
  status.value = `step ${step} of ${steps} · loss ${loss.toFixed(3)} · ${Math.round(tokensPerSecond)} tokens/s`;
  // The first loss is the highest there is; the lower edge is 0.
  const points = losses.map((y, x) => `${(x / Math.max(steps - 1, 1)) * 300},${100 - (y / losses[0]!) * 95}`);
  curve.setAttribute("points", points.join(" "));
}
