import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../..", import.meta.url));
const manifest = join(root, "packages", "engine", "package.json");
const project = mkdtempSync(join(tmpdir(), "tsformers-project-"));
const modules = join(project, "node_modules");
const engine = join(modules, "@tsformers", "engine");
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** A project that has the built engine and no runtime. */
beforeAll(() => {
  cpSync(join(root, "packages", "engine", "dist"), join(engine, "dist"), { recursive: true });
  cpSync(manifest, join(engine, "package.json"));
  symlinkSync(join(root, "node_modules", "protobufjs"), join(modules, "protobufjs"));
});

async function failure(options: string): Promise<string> {
  const source = `import { openCpu } from "@tsformers/engine/node";
    await openCpu(${options}).catch(({ message }) => console.log(message));`;
  const args = ["--input-type=module", "--eval", source];
  return (await promisify(execFile)(process.execPath, args, { cwd: project })).stdout.trim();
}

test.each(["", "{ worker: true }"])(
  "openCpu(%s) says what to install where onnxruntime-node is missing",
  async (options) => {
    const { peerDependencies } = JSON.parse(readFileSync(manifest, "utf8"));
    expect(await failure(options)).toBe(
      `the devices of Node run on onnxruntime-node, which is not installed: npm install --ignore-scripts onnxruntime-node@${peerDependencies["onnxruntime-node"]}`,
    );
  },
);

test("openCpu says what is wrong where onnxruntime-node has no binary for this platform", async () => {
  const runtime = join(modules, "onnxruntime-node");
  mkdirSync(runtime);
  writeFileSync(join(runtime, "index.js"), "require('./bin/unknown/onnxruntime_binding.node');");
  expect(await failure("")).toMatch(
    `which does not load on ${process.platform} ${process.arch}: Cannot find module './bin/unknown/onnxruntime_binding.node'`,
  );
});
