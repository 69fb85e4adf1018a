import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const here = new URL(".", import.meta.url);
const programs = ["run.ts", "tsdown.config.ts"];
const examples = readdirSync(here).filter(
  (name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !programs.includes(name),
);

describe("examples", () => {
  it.each(examples)("%s does what it says", async (name) => {
    await import(new URL(name, here).href);
  });

  it.each(examples)("%s is short and asserts something", (name) => {
    const source = readFileSync(new URL(name, here), "utf8");
    expect(source.split("\n").length).toBeLessThanOrEqual(100);
    expect(source).toContain("assert");
  });
});
