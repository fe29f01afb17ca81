import { activeChildren, currentProcess, type HeddleError, Process, parentProcess, wait } from "heddle";

const parent: null | { readonly name: string } = parentProcess();
const own = currentProcess();
const child = new Process({ target: starts, args: [3], name: "starter" });
const sleeper = new Process({ target: () => new Promise<never>(() => undefined), daemon: true });
await Promise.all([child.start(), sleeper.start()]);
const live = activeChildren().map(({ name }) => name);
const [first] = await wait([sleeper, child]);
await sleeper.terminate();
await sleeper.join();
const again = await sleeper.start().catch((error: HeddleError) => error.code);
console.log(
  JSON.stringify({
    parent,
    own: [own.name, own.pid === process.pid],
    live,
    first: first?.name,
    codes: [child.exitCode, sleeper.exitCode],
    again,
  }),
);

/** Exits with what a process of its own exits with, or says why not. */
async function starts(exitCode: number): Promise<void> {
  const inner = new Process({ target: (code: number) => process.exit(code), args: [exitCode] });
  await inner.start();
  await inner.join();
  const isRight = parentProcess()?.name === "MainProcess" && inner.name === "Process-1:1";
  process.exitCode = isRight ? (inner.exitCode ?? 98) : 99;
}
