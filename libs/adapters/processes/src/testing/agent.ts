/**
 * A process with workers, as an agent or an embedded fabric is: argv[2] is its state file ("-" for none), argv[3] how it goes on.
 * Prints one JSON line: the ids of its reaper (by what it is a child of), workers and runaways.
 */
import { silentLogger } from "@heddle/kernel";
import { createProcessSpawner } from "../spawner.ts";
import { heard, order, type ProcessAct } from "./puppet-acts.ts";

const [, , stateFile = "-", ending = "stay"] = process.argv;
const spawner = createProcessSpawner({
  workerEntry: new URL("./puppet.ts", import.meta.url),
  log: silentLogger,
  ...(stateFile === "-" ? {} : { stateFile }),
});

function start(...acts: ProcessAct[]): Promise<{ readonly worker: number; readonly printed: readonly number[] }> {
  return new Promise((resolve) => {
    const printed: number[] = [];
    const worker = spawner.spawn({
      entries: (entries) => {
        if (entries.some((entry) => heard(entry) === 99)) resolve({ worker: worker.pid, printed });
      },
      output: (_stream, line) => printed.push(Number(line)),
      exited: () => undefined,
    });
    for (const act of acts) worker.send(order(act));
  });
}

const keepAlive = setInterval(() => undefined, 60_000);
const started = await Promise.all([
  start({ type: "spin", number: 99 }),
  start({ type: "runaway", number: 1, keepsOutput: false }, { type: "spin", number: 99 }),
  start({ type: "runaway", number: 1, keepsOutput: true }, { type: "say", number: 99 }),
]);
const workers = started.map(({ worker }) => worker);
const runaways = started.flatMap(({ printed }) => printed);
process.stdout.write(`${JSON.stringify({ workers, runaways })}\n`);
if (ending === "end") clearInterval(keepAlive); // nothing of the spawner's keeps the process alive
if (ending === "exit") process.exit(3);
if (ending === "throw") throw new Error("uncaught, on purpose");
if (ending === "dispose") {
  clearInterval(keepAlive);
  await spawner[Symbol.asyncDispose]();
  process.stdout.write("disposed\n");
}
