import type { Environment, Logger, Millis, Random } from "@heddle/kernel";
import type { RpcClient, RpcServer } from "@heddle/port-rpc";
import type { EventLoop, SimEvent } from "./event-loop.ts";
import { Life, type Machine, MachineClock } from "./life.ts";
import type { Network } from "./network.ts";
import { ProcessRpc } from "./process-rpc.ts";

/** What a program finds when it starts on a simulated machine. All of it is dead once the machine crashes, but for the disk. */
export interface HostContext {
  readonly env: Environment;
  /** Addresses are `machine:port`; a process listens on its own machine only, whatever name it says. */
  readonly rpc: RpcClient & RpcServer;
  /** Survives crashes. */
  readonly disk: Map<string, Uint8Array>;
  /** The process itself. */
  readonly life: Life;
  /** A named stream of chance for this boot. */
  readonly random: (stream: string) => Random;
}

/** Starts the machine's program. Run again at each restart. What it returns is disposed by a polite stop, never by a crash. */
export type Boot = (context: HostContext) => AsyncDisposable | Promise<AsyncDisposable> | undefined;

/** Faults that chance may bring upon a machine; both by default. */
export interface HostOptions {
  readonly mayCrash?: boolean;
  readonly mayPause?: boolean;
}

/** A machine of the world, as tests handle it. */
export interface SimHost {
  readonly name: string;
  /** nth boot, from 1. */
  readonly incarnation: number;
  readonly state: "up" | "paused" | "stopping" | "down";
  /** Loses power or is killed: no code of it runs again, its memory is gone. `silent`: no peer is told, as when a cable is cut. */
  crash(options?: { readonly silent?: boolean }): void;
  /** Boots again, after a crash first if it is up. */
  restart(): void;
  /** Stands still, for ever unless `forMs` is given: messages and timers wait, then time has jumped. */
  pause(forMs?: Millis): void;
  resume(): void;
  /** Disposes its program, then ends it. Needs a world that runs. Resolves, too, when it crashes meanwhile. */
  stop(): Promise<void>;
}

/** What hosts share. */
export interface HostWorld {
  readonly loop: EventLoop;
  readonly network: Network;
  readonly random: (stream: string) => Random;
  readonly logger: (source: string) => Logger;
  /** A program broke down outside any event: the run fails. */
  readonly failed: (cause: unknown) => void;
}

/** A machine: at most one program at a time, a clock and a disk that outlast it, and an inbox that fills while it stands still. */
export class Host implements SimHost, Machine {
  readonly name: string;
  readonly clock: MachineClock;
  readonly mayCrash: boolean;
  readonly mayPause: boolean;
  readonly #world: HostWorld;
  readonly #boot: Boot;
  readonly #disk = new Map<string, Uint8Array>();
  /** What became due while paused, in order. */
  #held: SimEvent[] = [];
  #life: Life;
  #program: AsyncDisposable | Promise<AsyncDisposable> | undefined;
  #incarnation = 0;
  #isPaused = false;
  #isStopping = false;
  #resumeTimer: Disposable | undefined;

  constructor(
    world: HostWorld,
    at: { readonly name: string; readonly driftPpm: number },
    boot: Boot,
    options: HostOptions,
  ) {
    this.name = at.name;
    this.mayCrash = options.mayCrash ?? true;
    this.mayPause = options.mayPause ?? true;
    this.#world = world;
    this.#boot = boot;
    this.clock = new MachineClock(world.loop, world.random(`clock ${at.name}`).int(1_000_000), at.driftPpm);
    this.#life = this.#start();
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  get state(): SimHost["state"] {
    if (!this.#life.alive) return "down";
    if (this.#isPaused) return "paused";
    return this.#isStopping ? "stopping" : "up";
  }

  hold(event: SimEvent): boolean {
    if (this.#isPaused) this.#held.push(event);
    return this.#isPaused;
  }

  crash(options?: { readonly silent?: boolean }): void {
    const silent = options?.silent ?? false;
    if (!this.#life.alive) return;
    this.#life.end(silent);
    this.#program = undefined;
    this.#isStopping = false;
    this.#isPaused = false;
    this.#resumeTimer?.[Symbol.dispose]();
    this.#held = [];
  }

  restart(): void {
    this.crash();
    this.#life = this.#start();
  }

  pause(forMs?: Millis): void {
    if (!this.#life.alive) return;
    this.#isPaused = true;
    this.#resumeTimer?.[Symbol.dispose]();
    if (forMs === undefined) return;
    const { loop } = this.#world;
    const what = `resume ${this.name}`;
    this.#resumeTimer = loop.post({ atMs: loop.nowMs + forMs, owner: undefined, what, run: () => this.resume() });
  }

  resume(): void {
    this.#isPaused = false;
    this.#resumeTimer?.[Symbol.dispose]();
    this.#world.loop.release(this.#held.splice(0));
  }

  async stop(): Promise<void> {
    const life = this.#life;
    if (!life.alive) return;
    this.#isStopping = true;
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    life.onEnd(() => end());
    await Promise.race([this.#disposeProgram(), ended]);
    if (life.alive) this.crash();
  }

  async #disposeProgram(): Promise<void> {
    const program = await this.#program;
    await program?.[Symbol.asyncDispose]();
  }

  #start(): Life {
    this.#incarnation++;
    this.#world.network.disown(this);
    const name = `${this.name}#${this.#incarnation}`;
    const life = new Life(this.#world.loop, this, name);
    this.#life = life;
    const rpc = new ProcessRpc(this.#world.network, life);
    this.#world.network.serve(this, rpc);
    life.onEnd((silent) => this.#world.network.bury(life, silent));
    const random = (stream: string): Random => this.#world.random(`${name} ${stream}`);
    const env = life.environment(random("program"), this.#world.logger(name));
    this.#program = this.#boot({ env, rpc, disk: this.#disk, life, random });
    if (this.#program instanceof Promise) {
      this.#program.catch((cause: unknown) => {
        if (life.alive) this.#world.failed(cause);
      });
    }
    return life;
  }
}
