import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MetricsText, parseMetrics } from "../../harness/metrics-text.ts";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";

type Server = "manager" | "coordinator" | "agent";

/** A server as a process of its own that tells its health and metrics. */
export class WatchedServer implements AsyncDisposable {
  readonly program: Program;
  readonly #file: string;

  constructor(program: Program, file: string) {
    this.program = program;
    this.#file = file;
  }

  get pid(): number {
    return this.program.child.pid ?? 0;
  }

  /** What it says of itself, once it serves. */
  facts(): Promise<Readonly<Record<string, string | number>>> {
    return eventually(`the address file ${this.#file}`, () => {
      if (this.program.isOver) throw new Error(`it ended: ${this.program.said}`);
      try {
        return JSON.parse(readFileSync(this.#file, "utf8")) as Record<string, string | number>;
      } catch {
        return undefined; // not there yet
      }
    });
  }

  /** Where its health is, which is there before it serves: the log says so. */
  http(): Promise<string> {
    return eventually("the line about health and metrics", () => {
      if (this.program.isOver) throw new Error(`it ended: ${this.program.said}`);
      const [line = ""] = this.program.logged("health and metrics are served");
      return /http=(\S+)/.exec(line)?.[1];
    });
  }

  /** What it answers: the status and the words. */
  async ask(path: string, signal?: AbortSignal): Promise<readonly [status: number, words: string]> {
    const response = await fetch(`http://${await this.http()}${path}`, signal === undefined ? {} : { signal });
    return [response.status, (await response.text()).trimEnd()];
  }

  /** Resolves when /readyz answers so. */
  async answers(status: number, words: string): Promise<void> {
    let last: unknown;
    const answer = eventually(`/readyz says ${status} ${words}`, async () => {
      last = await this.ask("/readyz");
      return JSON.stringify(last) === JSON.stringify([status, words]) ? true : undefined;
    });
    await answer.catch((error: unknown) => {
      throw new Error(`${String(error)}; it says ${JSON.stringify(last)}`);
    });
  }

  async scrape(): Promise<MetricsText> {
    const [status, text] = await this.ask("/metrics");
    if (status !== 200) throw new Error(`/metrics says ${status}: ${text}`);
    return parseMetrics(`${text}\n`);
  }

  /** Some of its numbers, by what comes behind `heddle_SERVER_`. */
  async told<N extends string>(server: Server, ...names: N[]): Promise<Record<N, number | undefined>> {
    const { samples } = await this.scrape();
    return Object.fromEntries(names.map((name) => [name, samples.get(`heddle_${server}_${name}`)])) as Record<
      N,
      number | undefined
    >;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }
}

/** Servers of one fabric, each started as its test wants it. */
export class WatchedServers implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "watched-test-"));
  readonly #scope = new AsyncDisposableStack();
  #count = 0;

  /** Starts one with these flags. */
  start(server: Server, ...flags: string[]): WatchedServer {
    const name = `${server}-${++this.#count}`;
    const file = join(this.directory, `${name}.json`);
    const common = ["--http", "127.0.0.1:0", "--address-file", file, "--data-dir", join(this.directory, name)];
    const started = new WatchedServer(new Program([server, ...common, ...flags]), file);
    return this.#scope.use(started);
  }

  /** A coordinator that serves: its address, too. */
  async coordinator(...flags: string[]): Promise<{ readonly server: WatchedServer; readonly address: string }> {
    const timing = ["--lease-ms", "1500", "--heartbeat-ms", "150"];
    const server = this.start("coordinator", "--listen", "127.0.0.1:0", ...timing, ...flags);
    return { server, address: String((await server.facts()).address) };
  }

  /** The newest first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync();
    rmSync(this.directory, { recursive: true });
  }
}
