import { fileURLToPath } from "node:url";
import type { Calls, ObjectName, Wanted } from "../harness/caller.ts";
import type { ClientEvent, ClientSettings } from "./client-events.ts";
import { Companion } from "./companion.ts";

export interface ClientOptions {
  /** The party's. */
  readonly name: string;
  readonly within: readonly [string, ...string[]];
  readonly settings: Omit<ClientSettings, "name">;
  readonly log: string;
  readonly env: NodeJS.ProcessEnv;
  /** `life`: name and number of the life, as "client-2.0". */
  readonly hears: (event: ClientEvent, client: ClientRunner, life: string) => void;
  readonly died: (how: string) => void;
}

/** One of the clients, which is killed and started anew: each of its lives has counters of its own. */
export class ClientRunner implements Calls {
  readonly name: string;
  readonly #options: ClientOptions;
  #companion: Companion<ClientEvent> | undefined;
  #ready = Promise.withResolvers<void>();
  #lives = 0;
  #isWanted = false;

  constructor(options: ClientOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number {
    return this.#companion?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#companion?.isOver === false;
  }

  /** Name and number of its life. */
  get life(): string {
    return `${this.name}.${this.#lives - 1}`;
  }

  /** Begins a life. Resolves at once: what it does, and how its start ends, it tells. */
  start(): void {
    const { name, within, settings, log, env, hears, died } = this.#options;
    const life: ClientSettings = { ...settings, name: `${name}.${this.#lives++}` };
    const main = fileURLToPath(new URL("client-program.ts", import.meta.url));
    const [program, ...rest] = within;
    const node = [process.execPath, "--expose-gc", "--conditions=@heddle/source", main, JSON.stringify(life)];
    this.#ready = Promise.withResolvers();
    this.#isWanted = true;
    const companion = new Companion<ClientEvent>({
      command: [program, ...rest, ...node],
      log,
      env,
      hears: (event) => {
        if (event.type === "ready") this.#ready.resolve();
        hears(event, this, life.name);
      },
    });
    this.#companion = companion;
    void companion.gone.then((how) => {
      if (this.#isWanted && this.#companion === companion) died(`${name} ended with ${how}`);
    });
  }

  /** Resolves when it works. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  signal(signal: NodeJS.Signals): void {
    this.#companion?.child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#isWanted = false;
    this.signal("SIGKILL");
    await this.#companion?.gone;
  }

  /** Resolves when all that it has begun is over and it is gone, with its exit code or signal. */
  async finish(): Promise<number | string | undefined> {
    await this.ready();
    try {
      await this.ask("finish");
    } finally {
      this.#isWanted = false;
      this.#companion?.child.disconnect();
    }
    return await this.#companion?.gone;
  }

  ask(method: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#companion?.ask(method, ...args) ?? Promise.reject(new Error(`${this.name} never ran`));
  }

  call(object: ObjectName, method: string, args: readonly unknown[] = [], under?: bigint): Promise<unknown> {
    const wanted: Wanted = { id: 0, object, method, args, under };
    return this.ask("call", wanted);
  }
}
