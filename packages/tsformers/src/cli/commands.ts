import type { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** A subcommand as the help of the program tells it, so that this help loads none of their code. */
export type CommandEntry = {
  /** What it takes, as commander writes it: `<dir>` is required, `[dir]` is not. */
  readonly takes: string;
  readonly about: string;
  /** Loads its code; the description is set from `about`. @param args what follows the command's name */
  readonly load: (terminal: Terminal, args: readonly string[]) => Promise<Command>;
};

/** In the order of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  list: {
    takes: "[what]",
    about:
      "list systems, models, attention patterns and mechanisms, positions, tasks, objectives, optimisers and schedules",
    load: async (terminal) => {
      const { readKept } = await import("./kept.ts");
      const lists = readKept()?.lists ?? (await import("./listed.ts")).listed();
      return (await import("./list.ts")).listCommand(terminal, lists);
    },
  },
  describe: {
    takes: "<name>",
    about:
      "tell what a system, model, attention pattern or mechanism, position scheme, task, optimiser, schedule or run is",
    load: async (terminal, args) => {
      const kept = (await import("./told-command.ts")).toldCommand(terminal, args);
      return kept ?? (await import("./describe.ts")).describeCommand(terminal);
    },
  },
  train: {
    takes: "[dir]",
    about: "train a model; called again, it goes on where it was",
    load: async (terminal) => (await import("./train.ts")).trainCommand(terminal),
  },
  eval: {
    takes: "<dir>",
    about: "measure a trained run, or a checkpoint, at any lengths",
    load: async (terminal) => (await import("./eval.ts")).evalCommand(terminal),
  },
  store: {
    takes: "<action> <run> <store>",
    about: "build a datastore of what followed each context of a text, or look up what is near in it",
    load: async (terminal) => (await import("./store.ts")).storeCommand(terminal),
  },
  generate: {
    takes: "<dir>",
    about: "let a trained run, or a Hugging Face checkpoint, write on behind a prompt, answer it, or draw pictures",
    load: async (terminal) => (await import("./generate.ts")).generateCommand(terminal),
  },
  compare: {
    takes: "",
    about:
      "train several variants alike, on one task or several, and compare quality, speed and memory, also beyond the training length",
    load: async (terminal) => (await import("./compare.ts")).compareCommand(terminal),
  },
  runs: {
    takes: "[dir]",
    about: "list the finished runs of comparisons, filter and sort them, and write them as data",
    load: async (terminal) => (await import("./runs.ts")).runsCommand(terminal),
  },
  advise: {
    takes: "",
    about: "say which variants suit a length and a memory, from what comparisons have measured, and how sure that is",
    load: async (terminal) => (await import("./advise.ts")).adviseCommand(terminal),
  },
  export: {
    takes: "<dir>",
    about: "write a trained run, or a Hugging Face checkpoint, as an ONNX model or as safetensors",
    load: async (terminal) => (await import("./export.ts")).exportCommand(terminal),
  },
  verify: {
    takes: "<dir>",
    about: "check a checkpoint or a mechanism against stored results of its reference implementation",
    load: async (terminal) => (await import("./verify-command.ts")).verifyCommand(terminal),
  },
};
