import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A program beside this file in a process of its own. */
export interface Child extends AsyncDisposable {
  readonly process: ChildProcess;
  /** What it prints. */
  readonly lines: AsyncIterator<string>;
  /** What it prints until it ends. */
  rest(): Promise<string[]>;
  /** Kills it with -9; resolves when it is gone, with the rest of its lines. */
  kill(): Promise<string[]>;
}

/** Starts one; `prefix` is what runs Node, such as strace and its options. Disposing kills it. */
export function startChild(
  program: "appender" | "job-writer",
  args: readonly string[],
  prefix: readonly string[] = [],
): Child {
  const entry = new URL(`./${program}.ts`, import.meta.url).pathname;
  const [command = "", ...options] = [...prefix, process.execPath, "--conditions=@heddle/source", entry, ...args];
  const child = spawn(command, options, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const rest = async (): Promise<string[]> => {
    const left: string[] = [];
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) left.push(line.value);
    await exited;
    return left;
  };
  const kill = (): Promise<string[]> => {
    child.kill("SIGKILL");
    return rest();
  };
  return {
    process: child,
    lines,
    rest,
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
    },
  };
}
