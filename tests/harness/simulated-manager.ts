import { type Millis, type Random, silentLogger, type WriteOutcome } from "@heddle/kernel";
import { MemoryJournalStore, memoryJournal } from "@heddle/port-journal";
import type { Metric } from "@heddle/port-metrics";
import { ManagerShell } from "@heddle/shell-manager";
import { drawMs, type HostContext, type Life, type SimHost, type World } from "@heddle/sim";

/** What the disk of a simulated manager does wrong, as long as the world is not healed. */
export interface DiskPlan {
  /** How long a commit takes: exponential above `min`, with this mean. */
  readonly commitMs: readonly [min: Millis, mean: Millis];
  /** Probability that a write finds no space. The next one is asked anew. */
  readonly full: number;
  /** Probability that a write fails so that nobody knows whether it is kept: the manager ends, and is started again. */
  readonly broken: number;
  /** Probability that its machine loses power amid a commit, which is kept or not then. */
  readonly torn: number;
}

/** A disk that is quick, has room and never breaks. */
export const calmDisk: DiskPlan = { commitMs: [0, 1], full: 0, broken: 0, torn: 0 };

/** Where the manager of a simulated cluster listens. */
export const MANAGER = "manager:1";
/** Virtual time after which a manager that gave itself up is started again, as by `heddle up`. */
const RESTART_MS = 500;
/** Virtual time that it has for a polite end. */
const DRAIN_MS = 10_000;

/** A state in numbers: revision, sessions, owners, objects, bytes, locks held. */
export type StateNumbers = Readonly<Record<string, number>>;

const followed: ReadonlySet<string> = new Set(
  ["revision", "sessions", "owners", "objects", "data_bytes", "locks_held"].map((each) => `heddle_manager_${each}`),
);

/** The real manager on a machine of a simulated world; its journal outlives its crashes, but for a torn end. */
export class SimulatedManager {
  readonly host: SimHost;
  /** How many faults of each kind its disk has made. */
  readonly faults = new Map<string, number>();
  readonly #store: MemoryJournalStore;
  readonly #world: World;
  readonly #random: Random;
  readonly #build: { readonly build: string; readonly nodeMajor: number };
  #plan: DiskPlan;
  #life: Life | undefined;
  #shell: ManagerShell | undefined;

  /** Adds the machine `manager` to the world. */
  constructor(
    world: World,
    options: {
      readonly disk?: DiskPlan;
      readonly mayCrash?: boolean;
      readonly build: string;
      readonly nodeMajor: number;
    },
  ) {
    const { disk = calmDisk, mayCrash = false, build, nodeMajor } = options;
    this.#world = world;
    this.#random = world.random("manager's disk");
    this.#plan = disk;
    this.#build = { build, nodeMajor };
    this.#store = new MemoryJournalStore(() => this.#write());
    this.host = world.host("manager", (context) => this.#boot(context), { mayCrash });
  }

  /** The disk is such a one from now on. */
  setDisk(plan: DiskPlan): void {
    this.#plan = plan;
  }

  /** What the live state is known by. */
  numbers(): StateNumbers {
    return numbersOf(this.#shell?.metrics() ?? []);
  }

  /** Replays the journal from its beginning, beside the manager that lives. Resolves with the numbers of the state that it gives. */
  async replayed(): Promise<StateNumbers> {
    const copy = new MemoryJournalStore();
    copy.records = [...this.#store.records];
    copy.firstPosition = this.#store.firstPosition;
    copy.snapshots = [...this.#store.snapshots];
    const env = { clock: this.#world.clock, random: this.#world.random("replay"), log: silentLogger };
    const shell = new ManagerShell({ env, journal: memoryJournal(copy), ...this.#build, pid: 1 });
    await shell.start();
    const numbers = numbersOf(shell.metrics());
    await shell.stop(DRAIN_MS);
    return numbers;
  }

  async #boot({ env, rpc, life }: HostContext): Promise<AsyncDisposable> {
    this.#store.kill();
    this.#life = life;
    const journal = memoryJournal(this.#store);
    const shell = new ManagerShell({ env, journal, ...this.#build, pid: 1 });
    this.#shell = shell;
    void shell.failed.then(() => this.#restart(life));
    await shell.start();
    const scope = new AsyncDisposableStack();
    scope.use(journal);
    scope.use(await rpc.listen(MANAGER, shell.routes));
    scope.defer(() => shell.stop(DRAIN_MS));
    return scope;
  }

  /** Its process ends, and whoever runs it starts another. */
  #restart(life: Life): void {
    if (!life.alive) return;
    this.host.crash();
    const { clock } = this.#world;
    clock.setTimer(clock.nowMs() + RESTART_MS, () => {
      if (this.host.state === "down") this.host.restart();
    });
  }

  /** A commit takes its time. One under way when the machine crashes is kept or lost, and nobody is told. */
  #write(): Promise<WriteOutcome> {
    const life = this.#life;
    const outcome = this.#outcome();
    return new Promise((resolve) => {
      if (life === undefined || !life.alive) return; // of a process that is gone: never done
      const torn = life.onEnd(() => {
        const isKept = this.#random.int(2) === 0;
        this.#count(isKept ? "commit kept in a crash" : "commit lost in a crash");
        if (isKept) resolve("kept");
      });
      const commitMs = drawMs(this.#random, this.#plan.commitMs);
      life.post(commitMs, "commit", () => {
        torn[Symbol.dispose]();
        resolve(outcome);
      });
      if (this.#happens(this.#plan.torn)) life.post(commitMs / 2, "power is lost", () => this.#restart(life));
    });
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#random.float() < probability;
  }

  #outcome(): WriteOutcome {
    const { full, broken } = this.#plan;
    if (this.#happens(full)) {
      this.#count("disk full");
      return "full";
    }
    if (!this.#happens(broken)) return "kept";
    this.#count("disk broken");
    return this.#random.int(2) === 0 ? "failed-kept" : "failed-lost";
  }

  #count(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
}

function numbersOf(metrics: readonly Metric[]): StateNumbers {
  return Object.fromEntries(
    metrics.flatMap(({ name, value }) =>
      followed.has(name) && typeof value === "number" ? [[name, value] as const] : [],
    ),
  );
}
