import { describe, expect, test } from "vitest";
import { MARK_SLOTS_MAX, type WorkerEvents, type WorkerExit, type WorkerProcess, type WorkerSpawner } from "./index.ts";

/** What a puppet worker does when told, in order, the next once it is done with the one before. */
export type PuppetAct =
  /** Says `number`. */
  | { readonly type: "say"; readonly number: number }
  /** Writes `text` as it is, then says `number` and that it wrote. */
  | { readonly type: "write"; readonly stream: "stdout" | "stderr"; readonly text: string; readonly number: number }
  /** Leaves a mark in the slot, in the place of the one that was there. */
  | { readonly type: "mark"; readonly assignment: number; readonly offset: number; readonly slot?: number }
  /** Takes the mark of the slot back. */
  | { readonly type: "unmark"; readonly slot: number }
  /** Exits with the status. */
  | { readonly type: "exit"; readonly code: number }
  /** Signals itself. */
  | { readonly type: "die"; readonly signal: "SIGKILL" | "SIGSEGV" }
  /** Says `number`, then never gives its event loop up again. */
  | { readonly type: "spin"; readonly number: number }
  /** Does nothing when SIGTERM comes, from now on. */
  | { readonly type: "ignore-sigterm" };

/** A spawner whose workers are puppets, and how to talk to them. */
export interface PuppetTheatre<Down, Up> {
  readonly spawner: WorkerSpawner<Down, Up>;
  /** The entry that orders an act. */
  readonly order: (act: PuppetAct) => Down;
  /** What an entry says: a number, or "ready", which is a puppet's first word. */
  readonly heard: (entry: Up) => number | "ready";
  /** Whether a process is there, by its id. */
  readonly isAlive: (pid: number) => boolean;
}

/** One event of a worker, in the order in which they were told. */
type Told =
  | { readonly type: "heard"; readonly word: number | "ready" }
  | { readonly type: "line"; readonly stream: "stdout" | "stderr"; readonly line: string }
  | { readonly type: "exited"; readonly exit: WorkerExit };

/** A worker and everything that was told of it. */
class Puppet<Down, Up> {
  readonly told: Told[] = [];
  readonly process: WorkerProcess<Down>;
  readonly #theatre: PuppetTheatre<Down, Up>;
  #waiting: { readonly until: (told: Told) => boolean; readonly resolve: () => void }[] = [];

  constructor(theatre: PuppetTheatre<Down, Up>) {
    this.#theatre = theatre;
    let isSpawning = true;
    const tell = (told: Told): void => {
      if (isSpawning) throw new Error("an event was told from within spawn");
      this.told.push(told);
      for (const { until, resolve } of this.#waiting) if (until(told)) resolve();
    };
    const events: WorkerEvents<Up> = {
      entries: (entries) => {
        for (const entry of entries) tell({ type: "heard", word: theatre.heard(entry) });
      },
      output: (stream, line) => tell({ type: "line", stream, line }),
      exited: (exit) => tell({ type: "exited", exit }),
    };
    this.process = theatre.spawner.spawn(events);
    isSpawning = false;
  }

  order(...acts: PuppetAct[]): void {
    for (const act of acts) this.process.send(this.#theatre.order(act));
  }

  async hears(word: number | "ready"): Promise<void> {
    await this.#until((told) => told.type === "heard" && told.word === word);
  }

  async exit(): Promise<WorkerExit> {
    await this.#until((told) => told.type === "exited");
    const last = this.told.at(-1);
    if (last?.type !== "exited") throw new Error("something was told after the exit");
    return last.exit;
  }

  words(): (number | "ready")[] {
    return this.told.flatMap((told) => (told.type === "heard" ? [told.word] : []));
  }

  lines(stream: "stdout" | "stderr"): string[] {
    return this.told.flatMap((told) => (told.type === "line" && told.stream === stream ? [told.line] : []));
  }

  async #until(until: (told: Told) => boolean): Promise<void> {
    if (this.told.some(until)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ until, resolve });
    await promise;
    this.#waiting = this.#waiting.filter((waiting) => waiting.resolve !== resolve);
  }
}

/** What every WorkerSpawner must do. `open` makes a fresh one for each test; the suite disposes it. */
export function processesContract<Down, Up>(name: string, open: () => Promise<PuppetTheatre<Down, Up>>): void {
  /** Runs `play` with a puppet, and disposes the spawner whatever happens. */
  const withPuppet = async (
    play: (puppet: Puppet<Down, Up>, theatre: PuppetTheatre<Down, Up>) => Promise<void>,
  ): Promise<void> => {
    const theatre = await open();
    await using _spawner = theatre.spawner;
    await play(new Puppet(theatre), theatre);
  };

  describe(`workers of ${name}`, () => {
    test("hear entries in order and are heard in order, whatever the batches", () =>
      withPuppet(async (puppet) => {
        expect(puppet.process.pid).toBeGreaterThan(0);
        for (let number = 1; number <= 500; number++) puppet.order({ type: "say", number });
        await puppet.hears(500);
        for (let number = 501; number <= 1_000; number++) {
          puppet.order({ type: "say", number });
          if (number % 100 === 0) await puppet.hears(number);
        }
        expect(puppet.words()).toEqual(["ready", ...Array.from({ length: 1_000 }, (_, i) => i + 1)]);
      }));

    test("end with their status, told once and last", () =>
      withPuppet(async (puppet) => {
        puppet.order({ type: "say", number: 1 }, { type: "exit", code: 7 });
        expect(await puppet.exit()).toMatchObject({ exitCode: 7, signal: null, mark: null });
        expect(puppet.words()).toEqual(["ready", 1]);
        puppet.order({ type: "say", number: 2 }); // ignored
        puppet.process.kill("SIGKILL"); // ignored
        expect(puppet.told.filter(({ type }) => type === "exited")).toHaveLength(1);
      }));

    test("end with the name of the signal that killed them", () =>
      withPuppet(async (puppet) => {
        puppet.order({ type: "die", signal: "SIGKILL" });
        expect(await puppet.exit()).toMatchObject({ exitCode: null, signal: "SIGKILL" });
      }));

    test("end of SIGTERM, in the middle of a loop that never ends", () =>
      withPuppet(async (puppet) => {
        puppet.order({ type: "spin", number: 1 });
        await puppet.hears(1);
        puppet.process.kill("SIGTERM");
        expect(await puppet.exit()).toMatchObject({ exitCode: null, signal: "SIGTERM" });
      }));

    test("end of SIGKILL where they ignore SIGTERM", () =>
      withPuppet(async (puppet) => {
        puppet.order({ type: "ignore-sigterm" }, { type: "say", number: 1 });
        await puppet.hears(1);
        puppet.process.kill("SIGTERM");
        puppet.order({ type: "say", number: 2 });
        await puppet.hears(2);
        puppet.order({ type: "spin", number: 3 });
        await puppet.hears(3);
        puppet.process.kill("SIGKILL");
        expect(await puppet.exit()).toMatchObject({ exitCode: null, signal: "SIGKILL" });
      }));

    test("leave their last mark behind, however they die", () =>
      withPuppet(async (puppet, theatre) => {
        const another = new Puppet(theatre);
        puppet.order(
          { type: "mark", assignment: 1, offset: 0 },
          { type: "mark", assignment: 4_000_000_000, offset: 17 },
        );
        puppet.order({ type: "die", signal: "SIGKILL" });
        another.order({ type: "mark", assignment: 0, offset: 0 }, { type: "exit", code: 0 });
        expect((await puppet.exit()).mark).toEqual({ assignment: 4_000_000_000, offset: 17 });
        expect((await another.exit()).mark).toEqual({ assignment: 0, offset: 0 });
      }));

    test("leave no mark behind that they took back, nor one of several", () =>
      withPuppet(async (puppet, theatre) => {
        const another = new Puppet(theatre);
        puppet.order({ type: "mark", assignment: 1, offset: 2 }, { type: "unmark", slot: 0 });
        puppet.order({ type: "mark", assignment: 1, offset: 3, slot: MARK_SLOTS_MAX - 1 }, { type: "exit", code: 0 });
        another.order({ type: "mark", assignment: 1, offset: 2 }, { type: "mark", assignment: 1, offset: 3, slot: 7 });
        another.order({ type: "exit", code: 0 });
        expect((await puppet.exit()).mark).toEqual({ assignment: 1, offset: 3 });
        expect((await another.exit()).mark).toBe(null);
      }));

    test("show their oldest mark while they run, and for how long it has been there", () =>
      withPuppet(async (puppet) => {
        expect(puppet.process.readMark()).toBe(null);
        puppet.order({ type: "mark", assignment: 5, offset: 1, slot: 3 }, { type: "say", number: 1 });
        await puppet.hears(1);
        const first = puppet.process.readMark();
        expect(first).toMatchObject({ assignment: 5, offset: 1, forMs: expect.any(Number) });
        expect(first?.forMs).toBeGreaterThanOrEqual(0);
        puppet.order({ type: "mark", assignment: 5, offset: 2, slot: 0 }, { type: "say", number: 2 });
        await puppet.hears(2);
        const later = puppet.process.readMark();
        expect(later).toMatchObject({ offset: 1 });
        expect(later?.forMs).toBeGreaterThan(first?.forMs ?? Number.NaN);
        puppet.order({ type: "unmark", slot: 3 }, { type: "spin", number: 3 });
        await puppet.hears(3);
        expect(puppet.process.readMark()).toMatchObject({ offset: 2 });
        puppet.process.kill("SIGKILL");
        await puppet.exit();
        expect(puppet.process.readMark()).toBe(null);
      }));

    test("are heard line by line, a long line in several, the last one without an end", () =>
      withPuppet(async (puppet) => {
        const long = "ä".repeat(10_000);
        puppet.order({ type: "write", stream: "stdout", text: `one\n\nthr`, number: 1 });
        puppet.order({ type: "write", stream: "stdout", text: `ee\n${long}\nend`, number: 2 });
        puppet.order({ type: "write", stream: "stderr", text: "trouble\n", number: 3 }, { type: "exit", code: 0 });
        const exit = await puppet.exit();
        const lines = puppet.lines("stdout");
        expect(lines.slice(0, 3)).toEqual(["one", "", "three"]);
        expect(lines.slice(3, -1).join("")).toBe(long);
        expect(lines.slice(3, -1).length).toBeGreaterThan(1);
        expect(lines.at(-1)).toBe("end");
        expect(puppet.lines("stderr")).toEqual(["trouble"]);
        expect(exit.stderrTail).toBe("trouble\n");
      }));

    test("are heard to write before they are heard to be done", () =>
      withPuppet(async (puppet) => {
        const count = 300;
        for (let number = 1; number <= count; number++) {
          puppet.order({ type: "write", stream: number % 3 === 0 ? "stderr" : "stdout", text: `${number}\n`, number });
          if (number % 7 === 0) await puppet.hears(number);
        }
        await puppet.hears(count);
        const seen = puppet.told;
        for (let number = 1; number <= count; number++) {
          const line = seen.findIndex((told) => told.type === "line" && told.line === String(number));
          const word = seen.findIndex((told) => told.type === "heard" && told.word === number);
          expect(line).toBeGreaterThanOrEqual(0);
          expect(line).toBeLessThan(word);
        }
      }));

    test("do not know of each other's end", () =>
      withPuppet(async (puppet, theatre) => {
        const another = new Puppet(theatre);
        puppet.order({ type: "exit", code: 1 });
        await puppet.exit();
        another.order({ type: "say", number: 1 });
        await another.hears(1);
      }));

    test("are all gone when the spawner is disposed, and none is started after it", async () => {
      const theatre = await open();
      const puppets = [new Puppet(theatre), new Puppet(theatre), new Puppet(theatre)];
      puppets[0]?.order({ type: "spin", number: 1 });
      await Promise.all([puppets[0]?.hears(1), puppets[1]?.hears("ready")]);
      await Promise.all([theatre.spawner[Symbol.asyncDispose](), theatre.spawner[Symbol.asyncDispose]()]);
      for (const puppet of puppets) {
        expect(puppet.told.filter(({ type }) => type === "exited")).toHaveLength(1);
        expect(theatre.isAlive(puppet.process.pid)).toBe(false);
      }
      const late = new Puppet(theatre);
      expect(late.process.pid).toBe(0);
      expect(await late.exit()).toMatchObject({ exitCode: null, signal: null, fault: expect.any(String) });
    });
  });
}
