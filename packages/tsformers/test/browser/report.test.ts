import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { renderReport } from "../../src/compare/report/render-report.ts";
import type { CompareRun } from "../../src/compare/results.ts";
import { comparisonFixture } from "../compare/report-fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "tsformers-report-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let browser: Browser;
beforeAll(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--headless=new", "--no-sandbox", "--disable-background-networking", "--disable-component-update"],
  });
});
afterAll(() => browser?.close());

/** What the page complained of, and what it asked of the network. */
let complaints: string[] = [];
beforeEach(() => {
  complaints = [];
});

async function open(name: string, html: string, options: BrowserContextOptions): Promise<Page> {
  const file = join(folder, `${name}.html`);
  writeFileSync(file, html);
  const page = await browser.newPage(options);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || complaints.push(request.url()));
  await page.goto(String(pathToFileURL(file)));
  await page.waitForFunction("document.querySelectorAll('.canvas svg').length > 0");
  return page;
}

const html = renderReport(comparisonFixture());
const many = renderReport(comparisonFixture({ variants: 34 }));

/** For each chart that is shown: its name, its marks that have a variant's colour, and the texts along its axes. */
const chartFacts = `[...document.querySelectorAll("figure.chart")].filter((one) => one.offsetParent).map((figure) => {
  const svg = figure.querySelector(".canvas svg");
  const texts = [...svg.querySelectorAll("text")].filter((text) => text.getAttribute("fill") === "var(--soft)");
  const boxes = texts.map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
  const bottom = Math.max(...boxes.map(({ box }) => box.bottom));
  const across = boxes.filter(({ box }) => bottom - box.bottom < 3).sort((a, b) => a.box.left - b.box.left);
  const down = boxes.filter(({ box, text }) => bottom - box.bottom >= 3 && /^[\\d.]/.test(text));
  return {
    title: figure.querySelector("h3").textContent,
    marks: svg.querySelectorAll('path[fill^="var(--series"], path[stroke^="var(--series"]').length,
    across: across.map(({ text }) => text),
    down: down.map(({ text }) => text),
    overlaps: across.filter(({ box }, i) => i > 0 && across[i - 1].box.right > box.left).length,
    outside: boxes.filter(({ box }) => box.left < svg.getBoundingClientRect().left - 1 || box.right > svg.getBoundingClientRect().right + 1).map(({ text }) => text),
  };
})`;

type ChartFacts = {
  readonly title: string;
  readonly marks: number;
  readonly across: readonly string[];
  readonly down: readonly string[];
  readonly overlaps: number;
  readonly outside: readonly string[];
};

const titles = [
  "Loss over steps",
  "Quality against cost",
  "Time by length",
  "Memory by length",
  "Quality against state",
  "Quality by length",
];

async function expectCharts(page: Page): Promise<void> {
  const charts = await page.evaluate<ChartFacts[]>(chartFacts);
  expect(charts.map(({ title }) => title)).toEqual(titles);
  for (const { title, marks, across, down, overlaps, outside } of charts) {
    expect(marks, `marks of ${title}`).toBeGreaterThan(2);
    for (const texts of [across, down]) {
      expect(texts.length, `ticks of ${title}: ${texts}`).toBeGreaterThan(1);
      expect(new Set(texts).size, `ticks of ${title}: ${texts}`).toBe(texts.length);
    }
    expect(overlaps, `ticks of ${title} that cover each other: ${across}`).toBe(0);
    expect(outside, `texts of ${title} that are cut`).toEqual([]);
  }
}

const sizes = {
  "a phone": { viewport: { width: 390, height: 844 } },
  "a wide window": { viewport: { width: 1280, height: 900 } },
  "a dark window": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
} as const;

describe.each(Object.entries(sizes))("in %s", (name, options) => {
  test.each([
    ["8 variants", html],
    ["34 variants", many],
  ])("%s: no complaint, nothing beyond the edge, marks in every chart, ticks that differ", async (count, content) => {
    const page = await open(`${name} ${count}`, content, options);
    await expectCharts(page);
    await page.selectOption("[aria-label=task]", "1");
    await expectCharts(page);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(options.viewport.width);
    expect(complaints).toEqual([]);
    await page.close();
  });
});

describe("a reader", () => {
  let page: Page;
  beforeEach(async () => {
    page = await open("reader", html, sizes["a wide window"]);
    return () => page.close();
  });

  const names = () =>
    page.evaluate<string[]>("[...document.querySelectorAll('#leaderboard tbody th')].map((th) => th.textContent)");
  const figures = (column: string) =>
    page.evaluate<number[]>(
      `[...document.querySelectorAll('#leaderboard td[data-label="${column}"]')].map((td) => parseFloat(td.textContent)).filter(Number.isFinite)`,
    );
  const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);

  test("sorts the leaderboard by any column, with the keyboard too", async () => {
    expect((await names())[0]).toBe("softmax · rotary");
    const head = page.locator("#leaderboard thead th", { hasText: "train tokens/s" });
    await head.locator("button").focus();
    await page.keyboard.press("Enter");
    expect(await head.getAttribute("aria-sort")).toBe("descending");
    const fastest = await figures("train tokens/s");
    expect(fastest).toEqual(ascending(fastest).reverse());
    await page.keyboard.press("Enter");
    expect(await figures("train tokens/s")).toEqual(ascending(fastest));
    expect(ascending(fastest)).not.toEqual(fastest);
  });

  test("filters by words and by chips; charts follow", async () => {
    await page.fill("[type=search]", "SOFT");
    expect(await names()).toEqual(["softmax · rotary", "softmax · alibi"]);
    const drawn = () => page.evaluate<number>("document.querySelectorAll('#curves .legend li').length");
    expect(await drawn()).toBe(2);
    await page.fill("[type=search]", "");
    await page.click(".chips button:has-text('alibi')");
    expect(await names()).toEqual(["softmax · alibi", "local · window=32 · alibi"]);
    expect(await page.evaluate("document.activeElement.textContent")).toBe("alibi");
    await page.fill("[type=search]", "nothing is called so");
    expect(await names()).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test("has baselines in the leaderboard, and a hint where columns are out of sight", async () => {
    expect(await page.textContent("#leaderboard tr.baseline")).toContain("unigram");
    const hint = page.locator("#leaderboard .more");
    expect(await hint.textContent()).toMatch(/^\d+ more columns? →$/);
    await page.evaluate("document.querySelector('#leaderboard .scroll').scrollLeft = 10_000");
    await expect.poll(() => hint.isVisible()).toBe(false);
    const left = await page.evaluate(
      "document.querySelector('#leaderboard tbody th').getBoundingClientRect().left - document.querySelector('#leaderboard .scroll').getBoundingClientRect().left",
    );
    expect(left, "the first column stays").toBe(0);
  });

  test("hides a variant in all charts, and reads every chart as a table", async () => {
    const count = () =>
      page.evaluate<number>("document.querySelectorAll('.canvas path[stroke=\"var(--series-0)\"]').length");
    expect(await count()).toBeGreaterThan(2);
    await page.click("#curves .legend button:has-text('softmax · rotary')");
    // Of fourier, eight places on, there is another colour: nothing has the first one's now.
    expect(await count()).toBe(0);
    for (const button of await page.locator("figure.chart button:has-text('Show as table')").all())
      await button.click();
    const tables = await page.evaluate<number[]>(
      "[...document.querySelectorAll('figure.chart')].map((one) => one.querySelectorAll('tbody tr').length)",
    );
    expect(tables).toHaveLength(titles.length);
    expect(Math.min(...tables)).toBeGreaterThan(4);
    expect(complaints).toEqual([]);
  });

  test("changes what charts show: training loss, logarithms, the cost", async () => {
    const lines = () =>
      page.evaluate<number>("document.querySelectorAll('#curves .canvas path[stroke^=\"var(--series\"]').length");
    const before = await lines();
    expect(await page.textContent("#curves figcaption")).not.toContain("training loss");
    await page.click("#curves button:has-text('Training loss')");
    expect(await lines()).toBe(2 * before);
    expect(await page.textContent("#curves figcaption")).toContain("training loss");
    await page.click("#curves button:has-text('Logarithmic')");
    for (const cost of ["Memory", "Parameters", "FLOPs"]) await page.click(`#cost button:has-text('${cost}')`);
    await expectCharts(page);
    expect(complaints).toEqual([]);
  });

  test("chooses the theme", async () => {
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await background();
    await page.click(".theme");
    expect(await background()).toBe(light);
    await page.click(".theme");
    expect(await background()).not.toBe(light);
  });

  test("finds settings in a table, the command, and the run that failed", async () => {
    await page.selectOption("[aria-label=task]", "1");
    expect(await page.textContent("#settings thead")).toContain("model.mixer.window");
    expect(await page.textContent("#repeat pre")).toContain("tsformers compare --task recall,text");
    expect(await page.textContent("#notes")).toContain("killed from outside");
  });

  test("prints it in light colours, without controls, no chart wider than the paper", async () => {
    await page.click(".theme");
    await page.click(".theme");
    await page.setViewportSize({ width: 690, height: 1000 });
    await page.emulateMedia({ media: "print" });
    await page.waitForFunction(
      "[...document.querySelectorAll('.canvas svg')].every((svg) => svg.getBoundingClientRect().right <= innerWidth + 1)",
    );
    expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
    expect(await page.isVisible(".toolbar")).toBe(false);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(690);
    await expectCharts(page);
    expect((await page.pdf({ format: "A4" })).length).toBeGreaterThan(20_000);
  });
});

test("tasks with long labels fit a phone", async () => {
  const label = `text · data=${"a-folder-of-many-short-stories-".repeat(4)}`;
  const long = JSON.parse(JSON.stringify(comparisonFixture()).replaceAll("text · tiny-stories", label));
  const page = await open("long tasks", renderReport(long), sizes["a phone"]);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
  await page.close();
});

test("lines that end early have no name in the chart; the others have, side by side", async () => {
  const fixture = comparisonFixture({ variants: 4 });
  const runs = fixture.runs.map((run, i): CompareRun => {
    if (!("result" in run.outcome)) return run;
    const { result } = run.outcome;
    // Of the first two, all seeds end half-way; of the last, seeds have the last step in common alone.
    const isShort = fixture.variants.indexOf(run.variant) < 2;
    const isSparse = run.variant === fixture.variants[3] && run.seed > 0;
    const validCurve = result.validCurve.filter(({ step }) => (isShort ? step <= 1000 : !isSparse || step === 2000));
    return { ...run, id: String(i), outcome: { ...run.outcome, result: { ...result, validCurve } } };
  });
  const page = await open("early ends", renderReport({ ...fixture, runs }), sizes["a wide window"]);
  const names = await page.evaluate<{ text: string; top: number; bottom: number }[]>(
    `[...document.querySelectorAll('#curves .canvas text[fill^="var(--series"]')].map((text) => {
      const { top, bottom } = text.getBoundingClientRect();
      return { text: text.textContent, top, bottom };
    }).sort((a, b) => a.top - b.top)`,
  );
  expect(names.map(({ text }) => text).sort()).toEqual(["linear · rotary", "performer · features=64"]);
  expect(names[1]!.top).toBeGreaterThanOrEqual(names[0]!.bottom - 3);
  // The single point has its range, too.
  const bars = await page.evaluate("document.querySelectorAll('#curves .canvas [stroke-opacity=\"0.7\"]').length");
  expect(bars).toBe(1);
  expect(complaints).toEqual([]);
  await page.close();
});

test("labels that are markup are shown as text", async () => {
  const label = '"><img src=x onerror=alert(1)></script><b>';
  const labels = comparisonFixture().variants.map((variant, i) => (i === 0 ? label : variant));
  const page = await open("hostile", renderReport(comparisonFixture({ labels, title: label })), sizes["a wide window"]);
  expect(await page.textContent("h1")).toBe(label);
  expect(await page.textContent("#leaderboard")).toContain(label);
  expect(await page.evaluate("document.querySelectorAll('img').length")).toBe(0);
  await page.hover("#curves .canvas", { position: { x: 300, y: 120 } });
  expect(await page.textContent(".tip")).toContain(label);
  expect(complaints).toEqual([]);
  await page.close();
});

test("a comparison of costs alone has no ranks and no empty charts", async () => {
  const costs = renderReport({ ...comparisonFixture(), runs: [], trials: [] });
  const page = await open("costs", costs, sizes["a wide window"]);
  const charts = await page.evaluate<ChartFacts[]>(chartFacts);
  expect(charts.map(({ title }) => title)).toEqual(["Time by length", "Memory by length"]);
  expect(await page.textContent("#leaderboard .lead")).toContain("Nothing was trained");
  const heads = await page.locator("#leaderboard thead th").allTextContents();
  expect(heads.slice(0, 3)).toEqual([
    "variant",
    expect.stringMatching(/^tokens\/s at /),
    expect.stringMatching(/^memory at /),
  ]);
  expect(heads.join()).not.toMatch(/rank|accuracy|loss|time/);
  const facts = await page.textContent(".facts");
  expect(facts).toContain("measured at");
  expect(facts).not.toMatch(/trained at|Budget|Seeds/);
  expect(complaints).toEqual([]);
  await page.close();
});

test("one seed has an order and no ranks, as in the terminal", async () => {
  const page = await open("one seed", renderReport(comparisonFixture({ seeds: 1 })), sizes["a wide window"]);
  const texts = (selector: string) => page.locator(selector).allTextContents();
  expect((await texts("#leaderboard thead th"))[1]).toBe("order");
  expect(await texts("#leaderboard tr:not(.baseline) .rank:not(th)")).toEqual([..."12345678"]);
  expect((await texts("#pretraining thead th")).slice(1, 3)).toEqual(["order without", "order with"]);
  for (const part of ["#leaderboard", "#overview", "#pretraining"])
    expect(await page.textContent(part)).not.toMatch(/\d–\d|\brank \d/);
  expect(complaints).toEqual([]);
  await page.close();
});

test("a comparison that was broken off says so", async () => {
  const fixture = comparisonFixture();
  const page = await open(
    "partial",
    renderReport({ ...fixture, complete: false, runs: fixture.runs.slice(0, 7) }),
    sizes["a phone"],
  );
  expect(await page.textContent(".status")).toBe("Not complete: 7 runs so far. Ranks may change.");
  await page.selectOption("[aria-label=task]", "1");
  expect(complaints).toEqual([]);
  await page.close();
});
