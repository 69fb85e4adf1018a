import { Command } from "commander"; export const generateCommand = (_: unknown): Command => new Command("generate");
