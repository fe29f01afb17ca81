import { CaptureError } from "@heddle/kernel";
import { parse } from "acorn";
import type { CodeCell } from "./capture/graph.ts";
import { positionOf } from "./capture/position.ts";

/** Throws CaptureError for code of an old script that says what modules may not say: what is sent is a module. */
export function checkStrict({ name, form, source, text }: CodeCell): void {
  const before = form === "method" ? "({" : "(";
  const after = form === "method" ? "})" : ")";
  try {
    parse(before + source.text.slice(text.start, text.end) + after, { ecmaVersion: "latest", sourceType: "module" });
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const offset = "pos" in error && typeof error.pos === "number" ? error.pos - before.length : 0;
    const { file, line } = positionOf(source, text.start + offset);
    const reason = error.message.replace(/ \(\d+:\d+\)$/, "");
    const called = name === "" ? "(anonymous)" : name;
    const words = `the function ${called} (${file}:${line}) is sent as strict code, which it is not: ${reason}`;
    throw new CaptureError(words, { variable: called, path: "$", file, line }, { cause: error });
  }
}
