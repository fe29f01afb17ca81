import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { rewriteScenario } from "./scenario.ts";

const folder = new URL("../testdata/", import.meta.url);

describe("scenarios", () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".txt"))) {
    const file = new URL(name, folder);
    const text = readFileSync(file, "utf8");
    const [sentence = ""] = text.split("\n");
    it(`${name}: ${sentence.replace(/^# /, "")}`, () => {
      const played = rewriteScenario(text);
      // UPDATE_SCENARIOS=1 takes what the core does for what is expected. Read the diff.
      if (process.env.UPDATE_SCENARIOS === "1") writeFileSync(file, played);
      else expect(played).toBe(text);
    });
  }
});
