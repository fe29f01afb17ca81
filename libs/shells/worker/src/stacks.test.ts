import { describe, expect, test } from "vitest";
import { trimmedStack } from "./stacks.ts";

const OURS = "file:///app/node_modules/heddle/dist/worker.js";
const ours = `    at ChunkRun.start (${OURS}:10:5)`;
const user = "    at weave (heddle:///app/src/tasks.ts:3:9)";
const stack = (...lines: string[]): string => ["RangeError: no weft", ...lines].join("\n");

describe("the stack of what a task threw", () => {
  test.each([
    [
      "what called the user's function",
      [user, ours, "    at pump (file:///other.js:1:1)", "    at node:internal/x:1:2"],
      [user],
    ],
    [
      "async frames of ours",
      [user, `    at async ChunkRun.#runAsync (${OURS}:1:1)`, `    at async Worker.#pump (${OURS}:2:1)`],
      [user],
    ],
    [
      "Node's inner frames, wherever they are",
      [
        "    at new Promise (<anonymous>)",
        "    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)",
        user,
        ours,
      ],
      ["    at new Promise (<anonymous>)", user],
    ],
    ["Node's frames at the end", [user, "    at Timeout.run (node:timers:1:2)"], [user]],
    ["what is below the user, whoever calls whom there", [user, ours, user, ours], [user]],
  ])("is without %s", (_what, lines, left) => {
    expect(trimmedStack(stack(...lines), OURS)).toBe(stack(...left));
  });

  test.each([
    [
      "Node's functions that the user called",
      ["    at Object.openSync (node:fs:1:2)", "    at JSON.parse (<anonymous>)", user],
    ],
    ["frames of ours on top: the user called them", [`    at read (${OURS}:1:1)`, user]],
    ["everything when it is all ours", [ours, ours]],
    ["what looks like no frame", ["nothing at all", `see ${OURS}`, user]],
  ])("keeps %s", (_what, lines) => {
    expect(trimmedStack(stack(...lines), OURS)).toBe(stack(...lines));
  });
});
