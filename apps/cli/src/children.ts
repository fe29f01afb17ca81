import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ServerFacts, StopSignal } from "@heddle/adapter-command";
import { nodeOptions } from "./config.ts";

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server that `heddle up` runs: a process in a session of its own, so that Ctrl-C reaches only `up`, which stops them in order. */
export class Child {
  /** Before each of its lines, and in what is said of it. */
  readonly name: string;
  /** Resolves when it serves. Rejects when it ends before. */
  readonly serving: Promise<ServerFacts>;
  /** Resolves when it is gone and its last line was printed. */
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;

  /** Starts it. It ends when this process is gone, for it holds a pipe to it. */
  constructor(name: string, program: URL, args: readonly string[], print: (line: string) => void) {
    this.name = name;
    const argv = [...nodeOptions, fileURLToPath(program), ...args, "--parent-fd", "3"];
    const child = spawn(process.execPath, argv, {
      detached: true,
      env: withoutOurs(process.env),
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    this.#process = child;
    const printed = [child.stdout, child.stderr].map((stream) =>
      forEachLine(stream, (line) => print(`${name} | ${line}`)),
    );
    const { promise: serving, resolve: serves, reject: doesNot } = Promise.withResolvers<ServerFacts>();
    serving.catch(() => undefined); // whoever waits for it is told
    this.serving = serving;
    void forEachLine(child.stdio[3] as Readable, (line) => serves(JSON.parse(line) as ServerFacts));
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => {
        print(`${name} | cannot be started: ${error.message}`);
        resolve({ code: 1, signal: null });
      });
      child.once("exit", (code, signal) => {
        void Promise.all(printed).then(() => resolve({ code, signal }));
      });
    });
    void this.ended.then((end) => doesNot(new Error(`${name} ended ${endText(end)} before it served`)));
  }

  /** 0 if it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Asks it to end, for good by SIGINT, waits, and kills it when it takes longer than `graceMs`. */
  async end(graceMs: number, signal: StopSignal): Promise<void> {
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
    this.#process.kill(signal);
    await this.ended;
    clearTimeout(timer);
  }

  /** Lets go of it: it ends at once, as if this process were gone. Waits, and kills it when it takes longer than `graceMs`. */
  async hurry(graceMs: number): Promise<void> {
    this.#process.stdio[3]?.destroy();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
    await this.ended;
    clearTimeout(timer);
  }
}

/** How it ended, for people. */
export function endText({ code, signal }: ChildEnd): string {
  return signal === null ? `with code ${code}` : `by ${signal}`;
}

/** Settings reach a child by flags only: `up` has understood them already. */
function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("HEDDLE_")));
}

/** Resolves at the end of the stream. */
function forEachLine(stream: Readable | null, take: (line: string) => void): Promise<void> {
  if (stream === null) return Promise.resolve();
  stream.on("error", () => undefined); // its end follows
  const lines = createInterface({ input: stream });
  lines.on("line", take);
  return new Promise((resolve) => lines.once("close", resolve));
}
