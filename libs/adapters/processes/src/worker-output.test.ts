import { silentLogger } from "@heddle/kernel";
import { expect, test } from "vitest";
import { createProcessSpawner } from "./spawner.ts";
import { heard, order } from "./testing/puppet-acts.ts";

interface Print {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

const out = (text: string): Print => ({ stream: "stdout", text });
const err = (text: string): Print => ({ stream: "stderr", text });

/** What is told of a worker whose chunks print these, each batch sent once the one before is answered. Answers are numbers, from 1. */
async function told(...batches: readonly (readonly Print[])[]): Promise<(string | number)[]> {
  const workerEntry = new URL("./testing/printer.ts", import.meta.url);
  await using spawner = createProcessSpawner({ workerEntry, log: silentLogger });
  const events: (string | number)[] = [];
  let wake = (): void => undefined;
  const worker = spawner.spawn({
    entries: (entries) => {
      events.push(...entries.map(heard));
      wake();
    },
    output: (stream, line) => events.push(`${stream} ${line}`),
    exited: () => undefined,
  });
  let number = 0;
  for (const batch of batches) {
    for (const print of batch) worker.send(order({ type: "write", ...print, number: ++number }));
    while (!events.includes(number)) await new Promise<void>((resolve) => (wake = resolve));
  }
  return events;
}

test("a line that a chunk left open is told before the chunk's result, and the next chunk's output is its own", async () => {
  expect(await told([out(".")], [err("a\nb")], [out("")], [out("c\n")], [out("ü")])).toEqual([
    ...["stdout .", 1],
    ...["stderr a", "stderr b", 2],
    3,
    ...["stdout c", 4],
    ...["stdout ü", 5],
  ]);
});

test("lines that chunks left open stay apart when their results come together", async () => {
  const events = await told([out("."), out("."), err("!"), out("x\n"), out(".")]);
  expect(events.filter((event) => event !== "stderr !" && typeof event === "string")).toEqual([
    "stdout .",
    "stdout .",
    "stdout x",
    "stdout .",
  ]);
  expect(events.indexOf("stderr !")).toBeLessThan(events.indexOf(3));
});
