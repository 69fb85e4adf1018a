import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "tsformers-project-"));
const modules = join(project, "node_modules");
const { dependencies, peerDependencies } = JSON.parse(
  readFileSync(join(root, "packages", "tsformers", "package.json"), "utf8"),
);
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** A project that has the built packages and what they depend on, but no ONNX Runtime. */
beforeAll(() => {
  for (const part of ["package.json", "dist"]) {
    cpSync(join(root, "packages", "engine", part), join(modules, "@tsformers", "engine", part), { recursive: true });
    cpSync(join(root, "packages", "tsformers", part), join(modules, "tsformers", part), { recursive: true });
  }
  const packages = [...Object.keys(dependencies), "protobufjs"].filter((name) => name !== "@tsformers/engine");
  for (const name of new Set(packages.map((name) => name.split("/")[0]!)))
    symlinkSync(join(root, "node_modules", name), join(modules, name));
});

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" });
const command = (...args: string[]) => node(join(modules, "tsformers", "dist", "command", "cli.js"), ...args);

test("no runtime is a dependency: whoever computes chooses one", () => {
  expect(Object.keys(dependencies).filter((name) => name.startsWith("onnxruntime"))).toEqual([]);
});

test("without ONNX Runtime the command tells of everything that needs no device", () => {
  const { status, stdout } = command("list");
  expect(status).toBe(0);
  expect(stdout).toContain("rotary");
});

test("without ONNX Runtime the command says what to install", () => {
  const { status, stderr } = command("train", "runs/copy", "--task", "copy", "--steps", "1");
  expect(status).toBe(1);
  expect(stderr).toContain(
    `onnxruntime-node, which is not installed: npm install --ignore-scripts onnxruntime-node@${peerDependencies["onnxruntime-node"]}`,
  );
});

test("without ONNX Runtime both entries of the library load", () => {
  const source = `import { gpt } from "tsformers"; import { openModel } from "tsformers/node";
    console.log(typeof gpt, typeof openModel);`;
  expect(node("--input-type=module", "--eval", source).stdout).toBe("function function\n");
});
